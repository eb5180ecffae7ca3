"""Tiny random models with a real tokenizer, written as Transformers folders: `model=hf model.name=FOLDER` runs them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from ftlab.models.quiet import quiet

KINDS = ("bert", "gpt2", "llama", "t5")

LENGTH = 256  # tokens a tiny model can see

VOCABULARY = 640  # rows of the embeddings; tokenizers are filled up to it

# a WordPiece vocabulary of TEXT, trained once: training gives another in each process (findings/tokenizers_…)
_WORDPIECES = Path(__file__).parent / "golden" / "wordpiece_vocabulary.txt"

TEXT = """
The market fell on Monday as the bank raised its interest rate for the third time this year.
Shares of the company rose by five per cent after it reported higher profits and strong sales.
The striker scored twice in the second half and the team won the cup final in London.
She beat the champion in three sets and will play in the final of the open on Sunday.
The minister told parliament that the government would not raise taxes before the election.
The party lost the vote and its leader said that he would resign at the end of the week.
The new film opened in cinemas on Friday and won the award for best director.
The band will release its first album in ten years and play a concert in Berlin.
The software runs on a small computer and lets users share files over the network.
Researchers built a phone that learns the voice of its owner and answers questions.
Below is an instruction that describes a task. Write a response that completes the request.
### Instruction: ### Input: ### Response: What is the capital of France? The capital of France is Paris.
You are a helpful assistant. system user assistant: Hello, how are you? I am fine, thank you.
指令：把下面的句子翻译成英文。输入：今天天气很好。输出：The weather is nice today.
指令：写一句关于春天的话。输入：无。输出：春天来了，花都开了。
"""

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save_masked(directory: Path) -> Path:
    """Write a tiny bert that has its masked-language-model head."""
    save_tiny("bert", directory)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        BertForMaskedLM(BertConfig.from_pretrained(directory)).save_pretrained(directory)
    return directory


_MADE = TemporaryDirectory(prefix="ftlab-tiny-")  # each model is made once in a process, and copied


def save_tiny(kind: str, directory: Path) -> Path:
    """Write a tiny random model (`bert`, `gpt2`, `llama` or `t5`) into `directory`, the same at every call.

    bert has no head, as an encoder is published; gpt2 has no padding token; gpt2 and llama have a ChatML template.
    """
    made = Path(_MADE.name) / kind
    if not made.exists():
        _make(kind, made)
    shutil.copytree(made, directory, dirs_exist_ok=True)
    return directory


def _make(kind: str, directory: Path) -> None:
    tokenizer = _TOKENIZERS[kind]()
    tokenizer.add_tokens([f"<filler {number}>" for number in range(VOCABULARY - len(tokenizer))])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _MODELS[kind](tokenizer)
    directory.mkdir()
    with quiet():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _sentences() -> list[str]:
    return TEXT.strip().splitlines()


def _wordpiece() -> PreTrainedTokenizerFast:
    tokens = _WORDPIECES.read_text(encoding="utf-8").splitlines()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=LENGTH,
    )


def _byte_bpe(special: list[str], **roles: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, **roles)


def _gpt2_tokenizer() -> PreTrainedTokenizerFast:
    end = "<|endoftext|>"
    tokenizer = _byte_bpe([end, "<|im_start|>", "<|im_end|>"], bos_token=end, eos_token=end, unk_token=end)
    tokenizer.chat_template = CHATML
    return tokenizer


def _llama_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = _byte_bpe(
        special, pad_token=special[0], unk_token=special[0], bos_token=special[1], eos_token=special[2]
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def _t5_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = _byte_bpe(["<pad>", "</s>", "<unk>"], pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def _bert(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return BertModel(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=LENGTH,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _gpt2(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    end = tokenizer.eos_token_id
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=LENGTH,
            bos_token_id=end,
            eos_token_id=end,
        )
    )


def _llama(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=LENGTH,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _t5(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCABULARY,
            d_model=32,
            d_kv=16,  # times heads not d_model, as in T5-small
            d_ff=64,
            num_layers=2,
            num_heads=4,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )


_TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "bert": _wordpiece,
    "gpt2": _gpt2_tokenizer,
    "llama": _llama_tokenizer,
    "t5": _t5_tokenizer,
}
_MODELS: dict[str, Callable[[PreTrainedTokenizerFast], PreTrainedModel]] = {
    "bert": _bert,
    "gpt2": _gpt2,
    "llama": _llama,
    "t5": _t5,
}
