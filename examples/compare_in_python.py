# %% [markdown]
# # Compare fine-tuning methods from Python
#
# Two methods, two seeds each, on 320 news articles: about a minute on two CPU cores. The cells (`# %%`) are those that
# VS Code, PyCharm, Spyder and Jupytext know; as a script it is `python examples/compare_in_python.py`.

# %%
import ftlab

SETTINGS = ["budget.train_rows=320", "budget.max_length=32", "tracker=none", "sweep.name=python_example"]

# %% [markdown]
# One run per combination, each in a process of its own. The same call again returns at once, as all runs are complete.

# %%
sweep = ftlab.sweep(["method=lora,full", "seed=0,1", *SETTINGS])
print(sweep)

# %% [markdown]
# A row for each run, with any setting as a column.

# %%
table = sweep.to_dataframe(settings=["optim.lr"])
print(table[["method", "seed", "optim.lr", "test_accuracy", "train_s"]].round(4).to_string(index=False))

# %% [markdown]
# The comparison, with its tests: the same sentences as `ftlab compare` prints, and the numbers behind them.

# %%
comparison = ftlab.compare(sweep)
print(comparison)
rows = comparison.to_dataframe()
print(rows[["row", "seeds", "test_accuracy", "low", "high", "p_adjusted"]].round(3).to_string(index=False))

# %% [markdown]
# Learning curves and predictions of all runs are long tables: the mean validation loss at each step, and the share of
# the test examples that every run, some runs and no run has right.

# %%
curves = sweep.curves().dropna(subset="val/loss")
print(curves.pivot_table(index="step", columns="method", values="val/loss").round(3))

predictions = sweep.predictions()
right = (predictions["label"] == predictions["prediction"]).groupby(predictions["example_id"]).mean()
print(f"right in all runs: {(right == 1).mean():.3f}, in some: {right.between(0, 1, inclusive='neither').mean():.3f}")

# %% [markdown]
# A finished run predicts; its model is loaded once.

# %%
best = max(sweep, key=lambda run: run.metrics["accuracy"])
predictor = ftlab.Predictor(best)
for answer in predictor.predict(["The team won the cup final.", "Shares fell."]):
    print(answer.prediction, round(answer.probability, 3))
