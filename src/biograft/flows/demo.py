"""The main job on generated families: learn a source, graft it on 60 labels, compare with the same net from scratch."""
