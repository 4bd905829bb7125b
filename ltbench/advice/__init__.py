"""Advice: which techniques to use on a user's images, worked out from predictions for images that no choice has seen."""
