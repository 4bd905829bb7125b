"""Built-in ways of fine-tuning a pretrained network."""
