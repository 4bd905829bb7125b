"""The networks of models. These modules import torch and are imported only when a network is built."""
