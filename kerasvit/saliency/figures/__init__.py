"""Saliency maps as figures of Matplotlib, which is imported when the first one is drawn."""
