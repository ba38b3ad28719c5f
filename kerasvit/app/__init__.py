"""The local page: drop a picture, choose a model and a method, see where it looks.

`kerasvit.app.server.serve` runs it; what it draws comes from `kerasvit.look`, so that the files
are those of `kerasvit saliency`. Gradio is imported by `page.py` and `server.py` alone.
"""
