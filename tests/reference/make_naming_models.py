#!/usr/bin/env python3
"""Makes tiny random models as other libraries save them, with their logits in float64.

    python make_naming_models.py FOLDER [NAME...]     (needs torch, torchvision, timm, transformers, safetensors,
                                                       open_clip_torch, monai; NAME: only these cases)

A case is a folder: the weight file, config.json where the library writes one, `expected.safetensors` with `input`
[n, 3, h, w] float32 and `logits` [n, outputs] float64, and `case`, whose lines are

    file NAME           the weight file
    by TEXT             library and version that wrote it
    arch NAME           a YAML model file beside it, for --arch
    which PART, ignore PATTERN
    refused TEXT        it is refused with this in the message; without this line the logits agree

tests/reference/pl_naming.c reads the cases. Those in tests/reference/naming are made by `--committed`.
"""
import importlib.metadata
import json
import os
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
import safetensors.torch
import torch
from torch import nn

DIM, DEPTH, HEADS, MLP, PATCH, IMAGE, CLASSES = 16, 2, 4, 32, 4, 16, 5
CASES, COMMITTED = {}, []


def version(*names):
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def case(function=None, *, committed=False):
    if function is None:
        return lambda function: case(function, committed=committed)
    CASES[function.__name__] = function
    if committed:
        COMMITTED.append(function.__name__)
    return function


def randomise(model, seed=0):
    """Numbers that show every mistake: no zeros, no ones, norms of small values in the first block."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda t: torch.randn(t.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for name, p in list(model.named_parameters()) + list(model.named_buffers()):
            if not p.is_floating_point() or "periods" in name or "freq" in name:
                continue
            last = name.split(".")[-1]
            if last == "running_var":
                new = 0.5 + draw(p).abs()
            elif any(w in name for w in ("patch_embed", "pos_embed", "position_embed", "cls_token", "class_token",
                                         "class_embed", "reg_token", "register", "dist_token", "distillation_token",
                                         "conv_proj", "conv1")):
                new = 0.01 * draw(p)
            elif "lora" in name:
                new = 0.3 * draw(p)
            elif p.ndim > 1:
                new = draw(p) / p.shape[-1] ** 0.5
            elif last == "weight" or "gamma" in last or "lambda" in last:
                new = 1 + 0.2 * draw(p)
            else:
                new = 0.2 * draw(p)
            p.copy_(new.float())
    return model.eval()


def image(n=2, height=IMAGE, width=IMAGE, equal=False):
    x = torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(7))
    return x[:, :1].expand(-1, 3, -1, -1).contiguous() if equal else x


class Case:
    def __init__(self, folder, by):
        self.folder, self.lines = folder, [f"by {by}"]
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)

    def save(self, state, name="model.safetensors", config=None, metadata=None, arch=None, which=None, ignore=()):
        path = os.path.join(self.folder, name)
        if state is None:
            pass
        elif name.endswith(".safetensors"):
            safetensors.torch.save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, path, metadata)
        else:
            torch.save(state, path)
        if config:
            with open(os.path.join(self.folder, "config.json"), "w") as out:
                json.dump(config, out, indent=1)
        if arch:
            with open(os.path.join(self.folder, "arch.yaml"), "w") as out:
                out.write(arch)
            self.lines.append("arch arch.yaml")
        self.lines.append(f"file {name}")
        if which:
            self.lines.append(f"which {which}")
        self.lines += [f"ignore {pattern}" for pattern in ignore]

    def refused(self, text):
        self.end(f"refused {text}")

    def logits(self, forward, x=None):
        x = image() if x is None else x
        with torch.no_grad():
            y = forward(x.double())
        safetensors.torch.save_file({"input": x.float().contiguous(), "logits": y.double().contiguous()},
                                    os.path.join(self.folder, "expected.safetensors"))
        self.end()

    def end(self, *lines):
        with open(os.path.join(self.folder, "case"), "w") as out:
            out.write("\n".join(self.lines + list(lines)) + "\n")


ARCH = f"""base: vit_tiny_patch16
name: tiny
image_height: {IMAGE}
image_width: {IMAGE}
patch_size: {PATCH}
embed_dim: {DIM}
depth: {DEPTH}
num_heads: {HEADS}
mlp_dim: {MLP}
"""


def double(model):
    import copy
    return copy.deepcopy(model).double()


# -- timm ---------------------------------------------------------------------------------------


def timm_vit(seed=0, **more):
    from timm.models.vision_transformer import VisionTransformer
    how = dict(img_size=IMAGE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, mlp_ratio=MLP / DIM,
               num_classes=CLASSES)
    return randomise(VisionTransformer(**{**how, **more}), seed)


def timm_config(pool="token", **more):
    return {"architecture": "vit_small_test", "num_classes": CLASSES, "global_pool": pool,
            "model_args": {"num_heads": HEADS, **more}}


def timm_case(name, refused=None, committed=False, config=None, x=None, save=(), **more):
    def make(folder):
        model = timm_vit(**more)
        c = Case(folder, version("timm"))
        c.save(model.state_dict(), config=config or timm_config(), **dict(save))
        if refused:
            return c.refused(refused)
        wide = double(model)
        gray = more.get("in_chans") == 1
        c.logits(lambda x: wide(x[:, :1] if gray else x), image(equal=gray) if x is None else x)
    make.__name__ = name
    case(make, committed=committed)


def timm_cases():
    from timm.layers import SwiGLU
    from timm.models import vision_transformer as vt
    timm_case("timm", committed=True)
    timm_case("timm_headless", num_classes=0)
    timm_case("timm_qk_norm", "k_norm", committed=True, qk_norm=True)
    timm_case("timm_layer_scale", init_values=0.1)
    timm_case("timm_average", "fc_norm", committed=True, global_pool="avg")
    timm_case("timm_average_plain_norm", 'pooling "avg"', global_pool="avg", fc_norm=False, config=timm_config("avg"))
    timm_case("timm_no_class_token", "cls_token", class_token=False, global_pool="avg")
    timm_case("timm_registers", committed=True, reg_tokens=4)
    timm_case("timm_registers_no_embed_class", reg_tokens=4, no_embed_class=True)
    timm_case("timm_no_embed_class", no_embed_class=True)
    timm_case("timm_dynamic", dynamic_img_size=True)
    timm_case("timm_swiglu", "mlp.fc1_g.bias", mlp_layer=SwiGLU)
    timm_case("timm_mlp_norm", "mlp.norm", scale_mlp_norm=True)
    timm_case("timm_attention_norm", "attn.norm", scale_attn_norm=True)
    timm_case("timm_pre_norm", "norm_pre", pre_norm=True)
    timm_case("timm_no_qkv_bias", qkv_bias=False)
    timm_case("timm_map_pooling", "attn_pool", global_pool="map")
    timm_case("timm_parallel", "attns.", block_fn=vt.ParallelThingsBlock)
    timm_case("timm_parallel_scaling", "attn_out_proj", block_fn=vt.ParallelScalingBlock)
    timm_case("timm_one_channel", committed=True, in_chans=1)
    timm_case("timm_four_channels", "patch_embed.proj.weight", in_chans=4)
    timm_case("timm_quick_gelu", 'activation "quick_gelu"', act_layer="quick_gelu",
              config=timm_config(act_layer="quick_gelu"))
    timm_case("timm_deit3", committed=True, init_values=0.1, no_embed_class=True)
    timm_case("timm_no_heads_said", "number of attention heads", committed=True, config={"num_classes": CLASSES})
    timm_case("timm_rectangle", img_size=(16, 24), config=timm_config(img_size=[16, 24]), x=image(height=16, width=24))
    timm_case("timm_ignored_q_norm", "no tensor is called", save={"ignore": ["nothing.*"]})


timm_cases()


@case
def timm_distilled(folder, ignore=()):
    from timm.models.deit import VisionTransformerDistilled
    model = randomise(VisionTransformerDistilled(img_size=IMAGE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH,
                                                 num_heads=HEADS, mlp_ratio=2, num_classes=CLASSES))
    c = Case(folder, version("timm"))
    c.save(model.state_dict(), config=timm_config(), ignore=ignore)
    if not ignore:
        return c.refused("head_dist")
    wide = double(model)
    c.logits(lambda x: wide.head(wide.forward_features(x)[:, 0]))


@case(committed=True)
def timm_distilled_ignored(folder):
    timm_distilled(folder, ["head_dist.*"])


@case(committed=True)
def timm_pre_logits(folder):
    """As timm before 0.6 had it: pre_logits.fc and tanh."""
    model = timm_vit(num_classes=0)
    model.pre_logits = nn.Sequential()
    model.pre_logits.fc = nn.Linear(DIM, 8)
    model.head = nn.Linear(8, CLASSES)
    randomise(model)
    c = Case(folder, version("timm"))
    c.save(model.state_dict(), config=timm_config())
    wide = double(model)
    c.logits(lambda x: wide.head(torch.tanh(wide.pre_logits.fc(wide.forward_features(x)[:, 0]))))


@case(committed=True)
def timm_gamma_1(folder):
    """LayerScale as DeiT III's own code calls it."""
    model = timm_vit(init_values=0.1)
    state = {k.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): v for k, v in model.state_dict().items()}
    c = Case(folder, version("timm"))
    c.save(state, config=timm_config())
    c.logits(double(model))


@case
def timm_lora(folder):
    model = timm_vit()
    state = {f"base_model.model.{k}": v for k, v in model.state_dict().items()}
    state["base_model.model.blocks.0.attn.qkv.lora_A.default.weight"] = torch.randn(2, DIM)
    state["base_model.model.blocks.0.attn.qkv.lora_B.default.weight"] = torch.randn(3 * DIM, 2)
    c = Case(folder, version("timm"))
    c.save(state, config=timm_config())
    c.refused("lora_A")


def timm_made(name, refused, make_model, config=None):
    def make(folder):
        model = randomise(make_model())
        c = Case(folder, version("timm"))
        c.save(model.state_dict(), config=config or timm_config())
        c.refused(refused)
    make.__name__ = name
    case(make)


def other_timm():
    import timm
    from timm.models.beit import Beit
    from timm.models.eva import Eva
    small = dict(img_size=IMAGE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, mlp_ratio=2,
                 num_classes=CLASSES, global_pool="token")
    timm_made("timm_rope_and_positions", "q_bias", lambda: Eva(use_rot_pos_emb=True, init_values=0.1, **small))
    timm_made("timm_rope_split_qkv", "k_proj",
              lambda: Eva(use_rot_pos_emb=True, qkv_fused=False, init_values=0.1, **small))
    timm_made("timm_eva02", "k_proj", lambda: Eva(use_rot_pos_emb=True, qkv_fused=False, swiglu_mlp=True,
                                                 scale_mlp=True, **small))
    timm_made("timm_dinov3", "pos_embed", lambda: Eva(use_rot_pos_emb=True, use_abs_pos_emb=False, num_reg_tokens=4,
                                                      init_values=0.1, **small))
    timm_made("timm_beit", "q_bias", lambda: Beit(use_rel_pos_bias=True, init_values=0.1, **small))
    timm_made("timm_beit_positions", "_bias", lambda: Beit(use_rel_pos_bias=True, use_abs_pos_emb=True,
                                                           init_values=0.1, **small))
    timm_made("timm_resnet", "cls_token", lambda: timm.create_model("resnet10t", num_classes=CLASSES))
    timm_made("timm_cait", "proj_l", lambda: timm.models.cait.Cait(
        img_size=IMAGE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=CLASSES))
    timm_made("timm_relative_positions", "cls_token", lambda: timm.models.vision_transformer_relpos.VisionTransformerRelPos(
        img_size=IMAGE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=CLASSES))
    timm_made("timm_xcit", "temperature", lambda: timm.models.xcit.Xcit(
        img_size=32, patch_size=16, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=CLASSES))


other_timm()

# -- prefixes, networks, heads -------------------------------------------------------------------


def prefixed(prefix):
    def make(folder):
        model = timm_vit()
        c = Case(folder, version("timm"))
        c.save({prefix + k: v for k, v in model.state_dict().items()}, config=timm_config())
        c.logits(double(model))
    make.__name__ = "prefix_" + prefix.strip(".").replace(".", "_")
    case(make)


for p in ("module.", "_orig_mod.module.", "encoder.", "trunk.", "visual.trunk.", "base_model.model.", "model.backbone."):
    prefixed(p)


@case(committed=True)
def ema(folder, which=None):
    """timm's checkpoint: the averaged network is taken, as timm's load_state_dict does."""
    raw, averaged = timm_vit(0), timm_vit(1)
    c = Case(folder, version("timm"))
    c.save({"state_dict": raw.state_dict(), "state_dict_ema": averaged.state_dict(), "epoch": 3,
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}, "checkpoint.pth", config=timm_config(), which=which)
    c.logits(double(raw if which else averaged))


@case
def ema_which(folder):
    ema(folder, "state_dict")


@case(committed=True)
def dino_checkpoint(folder):
    """Teacher and student with projection heads, named as DINO's training does; a known name of the file is not there."""
    student, teacher = timm_vit(0, num_classes=0), timm_vit(1, num_classes=0)
    head = {"head.mlp.0.weight": torch.randn(8, DIM), "head.mlp.0.bias": torch.randn(8),
            "head.last_layer.weight_g": torch.randn(6, 1), "head.last_layer.weight_v": torch.randn(6, 8)}
    state = lambda m, p: {**{f"{p}backbone.{k}": v for k, v in m.state_dict().items()}, **{p + k: v for k, v in head.items()}}
    c = Case(folder, version("torch"))
    c.save({"student": state(student, "module."), "teacher": state(teacher, ""), "epoch": 1}, "checkpoint.pth", arch=ARCH)
    wide = double(teacher)
    c.logits(lambda x: wide.forward_features(x)[:, 0])


@case(committed=True)
def dinov2_chunks(folder):
    """DINOv2's own names of a model with block_chunks."""
    model = timm_vit(num_classes=0, init_values=0.1, reg_tokens=4, no_embed_class=True, depth=4)
    state = {}
    for k, v in model.state_dict().items():
        k = k.replace("reg_token", "register_tokens")
        if k.startswith("blocks."):
            n = int(k.split(".")[1])
            k = f"blocks.{n // 2}.{k[7:]}"
        state[k] = v
    cls = torch.zeros(1, 1, DIM)
    state["pos_embed"] = torch.cat([cls, model.pos_embed], 1)
    state["mask_token"] = torch.randn(1, DIM)
    c = Case(folder, version("torch"))
    c.save(state, "dinov2.pth", arch=ARCH.replace("depth: 2", "depth: 4") + "num_registers: 4\nlayer_scale: true\n")
    wide = double(model)
    c.logits(lambda x: wide.forward_features(x)[:, 0])


@case
def dinov2_swiglu(folder):
    model = timm_vit(num_classes=0)
    state = {k.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): v for k, v in model.state_dict().items()}
    c = Case(folder, version("torch"))
    c.save(state, arch=ARCH)
    c.refused("w12")


@case(committed=True)
def authors_litmodel(folder):
    """The CDAM authors' Lightning module: model.* of DINO, linear.*"""
    model = timm_vit(num_classes=0)
    linear = randomise(nn.Linear(DIM, 1), 3)
    state = {**{f"model.{k}": v for k, v in model.state_dict().items()},
             **{f"linear.{k}": v for k, v in linear.state_dict().items()}}
    c = Case(folder, version("torch"))
    c.save({"state_dict": state, "epoch": 1, "global_step": 5}, "last.ckpt", arch=ARCH)
    wide, head = double(model), double(linear)
    c.logits(lambda x: head(wide.forward_features(x)[:, 0]))


def headed(name, root, head, refused=None, arch=None, committed=False, forward=None, config=None):
    def make(folder):
        model = timm_vit(num_classes=0)
        layers = randomise(head(), 5)
        state = {**{f"backbone.{k}": v for k, v in model.state_dict().items()},
                 **{f"{root}.{k}": v for k, v in layers.state_dict().items()}}
        c = Case(folder, version("torch"))
        c.save(state, "model.pth", config=None if arch else config or timm_config(), arch=arch)
        if refused:
            return c.refused(refused)
        wide, last = double(model), double(layers)
        c.logits(lambda x: (forward or (lambda h, z: h(z)))(last, wide.forward_features(x)[:, 0]))
    make.__name__ = "head_" + name
    case(make, committed=committed)


def told(activation):
    return ARCH + f'heads: ["head:hidden=8:outputs={CLASSES}:{activation}"]\n'


L, S = nn.Linear, nn.Sequential
for root in ("fc", "classifier", "linear", "cls_head"):
    headed(root, root, lambda: L(DIM, CLASSES), committed=root == "cls_head")
headed("no_bias", "fc", lambda: L(DIM, CLASSES, bias=False), committed=True)
headed("relu_dropout", "head", lambda: S(L(DIM, 8), nn.ReLU(), nn.Dropout(), L(8, CLASSES)), arch=told("relu"))
headed("gelu", "classifier", lambda: S(L(DIM, 8), nn.GELU(), L(8, CLASSES)), arch=told("gelu"), committed=True)
headed("tanh", "fc", lambda: S(nn.Dropout(), L(DIM, 8), nn.Tanh(), L(8, CLASSES)), arch=told("tanh"))
headed("mlp_head", "mlp_head", lambda: S(L(DIM, 8), nn.ReLU(), L(8, CLASSES)))
headed("activation_not_said", "head", lambda: S(L(DIM, 8), nn.ReLU(), nn.Dropout(), L(8, CLASSES)),
       "head.3.weight", committed=True)
headed("leading_gap", "head", lambda: S(nn.ReLU(), L(DIM, CLASSES)), "head.1.weight")
headed("norm_first", "head", lambda: S(nn.BatchNorm1d(DIM), L(DIM, CLASSES)), committed=True)
headed("norm_after", "head", lambda: S(L(DIM, 8), nn.BatchNorm1d(8), nn.ReLU(), L(8, CLASSES)), arch=told("relu"))
headed("norm_between", "head", lambda: S(L(DIM, 8), nn.ReLU(), nn.BatchNorm1d(8), L(8, CLASSES)), arch=told("relu"),
       committed=True)
headed("layer_norm", "head", lambda: S(nn.LayerNorm(DIM), L(DIM, CLASSES)), "head.0.weight", committed=True)
headed("three_layers", "head", lambda: S(L(DIM, 8), nn.ReLU(), L(8, 8), nn.ReLU(), L(8, CLASSES)), "head.4.weight",
       arch=told("relu"))
headed("own_names", "head", lambda: nn.ModuleDict({"fc1": L(DIM, 8), "fc2": L(8, CLASSES)}), "head.fc1.bias")
headed("cls_and_mean", "linear_head", lambda: L(2 * DIM, CLASSES), "linear_head.bias")

# -- torchvision ---------------------------------------------------------------------------------


@case(committed=True)
def torchvision(folder, **more):
    from torchvision.models.vision_transformer import VisionTransformer
    model = randomise(VisionTransformer(image_size=IMAGE, patch_size=PATCH, num_layers=DEPTH, num_heads=HEADS,
                                        hidden_dim=DIM, mlp_dim=MLP, num_classes=CLASSES, **more))
    c = Case(folder, version("torchvision"))
    c.save(model.state_dict(), "model.pth", arch=ARCH)
    c.logits(double(model))


@case
def torchvision_pre_logits(folder):
    torchvision(folder, representation_size=8)


# -- transformers --------------------------------------------------------------------------------


def hf_config(kind, **more):
    import transformers
    how = dict(hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=MLP,
               image_size=IMAGE, patch_size=PATCH, num_labels=CLASSES, mlp_ratio=2)
    if kind in ("Yolos", "Data2VecVision"):
        how["image_size"] = [IMAGE, IMAGE]
    return getattr(transformers, kind + "Config")(**{**how, **more})


def hf_case(name, kind, model_class, refused=None, committed=False, layout="saved", output=None, x=None, shards=None,
            edit=None, **more):
    def make(folder):
        import transformers
        config = hf_config(kind, **more)
        model = randomise(getattr(transformers, model_class)(config))
        c = Case(folder, version("transformers"))
        if layout == "saved":
            model.save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
            for junk in ("preprocessor_config.json", "generation_config.json"):
                if os.path.exists(os.path.join(folder, junk)):
                    os.remove(os.path.join(folder, junk))
            c.save(None, "model.safetensors.index.json" if shards else "model.safetensors")
        else:
            config.save_pretrained(folder)
            c.save(model.state_dict(), layout)
        if edit:
            edit(folder)
        if refused:
            return c.refused(refused)
        wide = double(model)
        take = output or (lambda y: y.logits)
        c.logits(lambda x: take(wide(pixel_values=x)), x)
    make.__name__ = name
    case(make, committed=committed)


CLS = lambda y: y.last_hidden_state[:, 0]
hf_case("hf_vit", "ViT", "ViTForImageClassification", committed=True)
hf_case("hf_vit_state_dict", "ViT", "ViTForImageClassification", committed=True, layout="pytorch_model.bin")
hf_case("hf_vit_no_bias", "ViT", "ViTForImageClassification", qkv_bias=False)
hf_case("hf_vit_rectangle", "ViT", "ViTForImageClassification", image_size=[16, 24], x=image(height=16, width=24))
hf_case("hf_vit_gray", "ViT", "ViTForImageClassification", "patch_embed", num_channels=2)
hf_case("hf_vit_model", "ViT", "ViTModel", output=CLS)
hf_case("hf_vit_quick_gelu", "ViT", "ViTForImageClassification", 'activation "quick_gelu"', hidden_act="quick_gelu")
hf_case("hf_vit_sharded", "ViT", "ViTForImageClassification", committed=True, shards="16KB")
hf_case("hf_vit_epsilon", "ViT", "ViTForImageClassification", layer_norm_eps=1e-3)
hf_case("hf_deit", "DeiT", "DeiTForImageClassification", committed=True)
hf_case("hf_deit_teacher", "DeiT", "DeiTForImageClassificationWithTeacher", "distillation_classifier")
hf_case("hf_msn", "ViTMSN", "ViTMSNForImageClassification", committed=True)
hf_case("hf_msn_model", "ViTMSN", "ViTMSNModel", output=CLS)
hf_case("hf_dinov2", "Dinov2", "Dinov2Model", committed=True, output=CLS)
hf_case("hf_dinov2_state_dict", "Dinov2", "Dinov2Model", output=CLS, layout="pytorch_model.bin")
hf_case("hf_dinov2_classification", "Dinov2", "Dinov2ForImageClassification", "classifier", committed=True)
hf_case("hf_dinov2_swiglu", "Dinov2", "Dinov2Model", "weights_in", use_swiglu_ffn=True)
hf_case("hf_dinov2_registers", "Dinov2WithRegisters", "Dinov2WithRegistersModel", committed=True, output=CLS)
hf_case("hf_dinov2_registers_classification", "Dinov2WithRegisters", "Dinov2WithRegistersForImageClassification",
        "classifier")
hf_case("hf_dinov3", "DINOv3ViT", "DINOv3ViTModel", "dinov3_vit", committed=True)
hf_case("hf_beit", "Beit", "BeitForImageClassification", "beit")
hf_case("hf_clip", "CLIPVision", "CLIPVisionModel", "clip_vision_model")
hf_case("hf_siglip", "SiglipVision", "SiglipVisionModel", "siglip_vision_model")
hf_case("hf_ijepa", "IJepa", "IJepaModel", "ijepa")
hf_case("hf_mae", "ViTMAE", "ViTMAEModel", "vit_mae")
hf_case("hf_yolos", "Yolos", "YolosModel", "yolos")
hf_case("hf_data2vec", "Data2VecVision", "Data2VecVisionForImageClassification", "data2vec")


def without_config(folder):
    os.remove(os.path.join(folder, "config.json"))


hf_case("hf_vit_without_config", "ViT", "ViTForImageClassification", "number of attention heads", edit=without_config)


def other_config(folder):
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    config["hidden_size"] = 384
    json.dump(config, open(path, "w"))


hf_case("hf_vit_other_config", "ViT", "ViTForImageClassification", "config.json", edit=other_config)


@case(committed=True)
def obz_lidc(folder):
    """Obz AI's model of LIDC: transformers' ViTModel as backbone, its pooler (dense, tanh), head."""
    import transformers
    backbone = randomise(transformers.ViTModel(hf_config("ViT", layer_norm_eps=1e-6), add_pooling_layer=True))
    head = randomise(nn.Linear(DIM, 1), 3)
    state = {**{f"backbone.{k}": v for k, v in backbone.state_dict().items()},
             **{f"head.{k}": v for k, v in head.state_dict().items()}}
    c = Case(folder, version("transformers"))
    c.save(state, "model.pth", arch=ARCH)
    wide, last = double(backbone), double(head)
    c.logits(lambda x: last(wide(pixel_values=x).pooler_output))


# -- MONAI, OpenCLIP -----------------------------------------------------------------------------


def monai_case(name, refused=None, committed=False, **more):
    def make(folder):
        from monai.networks.nets import ViT
        how = dict(in_channels=1, img_size=(IMAGE, IMAGE), patch_size=(PATCH, PATCH), hidden_size=DIM, mlp_dim=MLP,
                   num_layers=DEPTH, num_heads=HEADS, proj_type="conv", classification=True, num_classes=CLASSES,
                   post_activation=None, spatial_dims=2)
        model = randomise(ViT(**{**how, **more}))
        c = Case(folder, version("monai"))
        c.save(model.state_dict(), "model.pt", arch=ARCH + "layer_norm_eps: 1e-5\nposition_on_cls: false\n")
        if refused:
            return c.refused(refused)
        wide = double(model)
        c.logits(lambda x: wide(x[:, : how["in_channels"]])[0], image(equal=True))
    make.__name__ = name
    case(make, committed=committed)


monai_case("monai", committed=True)
monai_case("monai_qkv_bias", qkv_bias=True)
monai_case("monai_tanh", "classification_head.0", post_activation="Tanh")
monai_case("monai_perceptron", "patch_embed.proj.weight", proj_type="perceptron")
monai_case("monai_three_dimensions", "patch_embed", spatial_dims=3, img_size=(IMAGE,) * 3, patch_size=(PATCH,) * 3)


@case(committed=True)
def openclip_timm(folder):
    """As BiomedCLIP: a timm model as visual tower, a projection without bias, a text tower beside it."""
    trunk = timm_vit(num_classes=0)
    proj = randomise(nn.Linear(DIM, 6, bias=False), 2)
    state = {**{f"visual.trunk.{k}": v for k, v in trunk.state_dict().items()}, "visual.head.proj.weight": proj.weight,
             "text.transformer.embeddings.word_embeddings.weight": torch.randn(3, 3), "logit_scale": torch.tensor(2.0)}
    c = Case(folder, version("timm", "open_clip_torch"))
    c.save(state, "open_clip_model.safetensors", arch=ARCH)
    wide, last = double(trunk), double(proj)
    c.logits(lambda x: last(wide.forward_features(x)[:, 0]))


@case
def openclip_vit(folder):
    from open_clip.transformer import VisionTransformer
    model = randomise(VisionTransformer(IMAGE, PATCH, DIM, DEPTH, HEADS, 2, output_dim=6))
    c = Case(folder, version("open_clip_torch"))
    c.save({f"visual.{k}": v for k, v in model.state_dict().items()}, arch=ARCH)
    c.refused("class_embedding")


def main():
    words = sys.argv[1:]
    names = COMMITTED if "--committed" in words else CASES
    words = [w for w in words if not w.startswith("-")]
    if not words:
        sys.exit(__doc__)
    for name in words[1:] or names:
        CASES[name](os.path.join(words[0], name))
    print(f"{len(words[1:] or names)} cases in {words[0]}")


if __name__ == "__main__":
    main()
