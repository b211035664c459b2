"""Inference: a picture in, classes out.

```
 file, bytes         PIL image, RGB or L        float32 (C, size, size)       logits (N, K)
 ──────────▶ open_image ──────────▶ as_input ──────────────────────▶ forward ──────────────▶ Prediction
             images.py              preprocessing.py says how        forward.py              prediction.py
                                                                     class_scores.py         labels.py
```

Importing any room of this folder imports neither torch nor Pillow: they come with the first call. Functions are
imported from their rooms (`from ckpt_explorer.inference.labels import labels`): two share their room's name.
"""
