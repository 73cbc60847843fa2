"""In place of Wan2GP's wgp.py: every model exists, is loaded at once, and renders a small grey video."""

import os
import time

import cv2
import numpy

server_config = {"save_path": "outputs", "image_save_path": "outputs"}
save_path = image_save_path = "outputs"
transformer_type = None
transformer_quantization = text_encoder_quantization = attention_mode = ""
reload_needed = True
wan_model = None
offloadobj = None
models_def = {"t2v": {"architecture": "t2v"}}


def get_base_model_type(model):
    return "t2v"


def get_model_family(model, for_ui=False):
    return "wan"


def get_model_def(model):
    return models_def.get(model)


def get_model_name(model):
    return model


def get_model_recursive_prop(model, prop, return_list=True):
    return [] if return_list else None


def get_default_settings(model):
    return {"num_inference_steps": 1, "video_length": 5, "resolution": "64x64"}


def get_lora_dir(model):
    return os.path.join(os.getcwd(), "loras")


def setup_loras(*_given):
    return [], [], [], [], "", "", ""


def test_vace_module(model):
    return False


def apply_changes(state, **choices):
    pass


def load_wan_model(*given, **named):
    return None, None


class _Offload:
    def release(self):
        pass


def load_models(model):
    global transformer_type
    transformer_type = model
    return object(), _Offload()


def generate_video(task, send_cmd, state, model_type, prompt="", video_length=5, resolution="64x64", seed=-1):
    width, height = (int(part) for part in str(resolution).split("x"))
    path = os.path.join(save_path, f"{time.strftime('%Y-%m-%d-%Hh%Mm%Ss')}_seed{seed}_{prompt[:40]}.mp4")
    video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 16, (width, height))
    for _ in range(max(1, int(video_length))):
        video.write(numpy.full((height, width, 3), 128, dtype=numpy.uint8))
    video.release()
    state["gen"]["file_list"].append(path)
