"""Prompts: templates, few-shot examples, cloze texts."""
