"""Methods that change the model (LoRA, adapters, IA3, BitFit, full fine-tuning), measured beside those that leave it alone."""
