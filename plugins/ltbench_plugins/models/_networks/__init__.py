"""The networks that models build. These modules import torch; nothing imports them before a network is built."""
