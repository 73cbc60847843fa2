"""In place of huggingface_hub: nothing is downloaded."""


def hf_hub_download(*given, **named):
    raise RuntimeError("this test downloads nothing")


snapshot_download = hf_hub_download
