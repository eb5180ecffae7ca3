"""How far a result carries: perturbed texts, classes and slices, forgetting, fit, the base without its adapter."""
