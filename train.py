"""`python train.py -m method=lora,prefix,full` runs one experiment per combination and compares them."""

from ftlab.cli.training import train

if __name__ == "__main__":
    train()
