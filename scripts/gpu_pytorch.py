#!/usr/bin/env python3
"""Measures networks in PyTorch (eager and torch.compile) and in sparse-run on the same GPU and writes a line for each.

usage: gpu_pytorch.py --run SPARSE_RUN --gpu N --out FOLDER [--seconds S]
Networks are built here with random weights, exported to ONNX and given to both. What cannot be measured (no PyTorch, an
exporter that is missing, out of memory) is a line with "not run" and why. Exit code 1 when a result of sparse-run
differs from PyTorch's.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

TOLERANCE = {"f32": 1e-3, "tf32": 3e-2, "f16": 3e-2}


def networks(torch):
    """Name, module, shape of the input without its batch, batches."""
    nn = torch.nn

    class Bottleneck(nn.Module):
        def __init__(self, inner, width, stride, features):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, features, 1, bias=False), nn.BatchNorm2d(features))
            self.side = nn.Identity()
            if stride != 1 or inner != features:
                self.side = nn.Sequential(nn.Conv2d(inner, features, 1, stride, bias=False), nn.BatchNorm2d(features))

        def forward(self, x):
            return torch.relu(self.main(x) + self.side(x))

    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    features = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(count):
            layers.append(Bottleneck(features, width, stride if block == 0 else 1, 4 * width))
            features = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 1000)]
    yield "resnet50", nn.Sequential(*layers), (3, 224, 224), (1, 64)
    encoder = nn.TransformerEncoderLayer(768, 12, 3072, dropout=0.0, activation="gelu", batch_first=True)
    yield "bert_base", nn.TransformerEncoder(encoder, 12, enable_nested_tensor=False), (128, 768), (1, 32)


def median_ms(torch, run, seconds):
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    samples = []
    begin = time.perf_counter()
    while len(samples) < 5 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        samples.append(1e3 * (time.perf_counter() - start))
    return statistics.median(samples)


def in_pytorch(torch, module, x, precision, compiled, seconds):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    run = torch.compile(module) if compiled else module
    with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=precision == "f16"):
        return median_ms(torch, lambda: run(x), seconds)


def in_sparse_run(arguments, model, feed, expected, batch, precision):
    """Median milliseconds of a request, and whether results agree."""
    bound = str(TOLERANCE[precision])
    common = [arguments.run, "-q", "--devices", f"cpu,gpu:{arguments.gpu}", "--policy", "gpu", "--precision", precision]
    report = arguments.out / f"{model.stem}_{batch}_{precision}.json"
    check = subprocess.run([*common, "--input", f"x={feed}", "--expect", expected, "--rtol", bound, "--atol", bound,
                            model], capture_output=True, text=True)
    if check.returncode not in (0, 5):
        raise RuntimeError(check.stderr.strip().splitlines()[-1] if check.stderr.strip() else f"exit {check.returncode}")
    timed = subprocess.run([*common, "--input", f"x={feed}", "--benchmark", "--duration", str(arguments.seconds),
                            "--json", report, model], capture_output=True, text=True)
    if timed.returncode != 0:
        raise RuntimeError(timed.stderr.strip().splitlines()[-1] if timed.stderr.strip() else f"exit {timed.returncode}")
    found = json.loads(report.read_text())
    return found["latency_ms"]["p50"], check.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = []

    def record(**entry):
        results.append(entry)
        print(json.dumps(entry), flush=True)

    try:
        import numpy
        import torch
        if not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")
    except ImportError as error:
        record(name="PyTorch", not_run=str(error))
        return 0
    torch.cuda.set_device(arguments.gpu)
    torch.manual_seed(0)
    wrong = False
    for name, module, shape, batches in networks(torch):
        module = module.eval()
        for batch in batches:
            x = torch.randn(batch, *shape)
            model = arguments.out / f"{name}_{batch}.onnx"
            feed, expected = arguments.out / f"{name}_{batch}_x.npy", arguments.out / f"{name}_{batch}_y.npz"
            try:
                torch.onnx.export(module.cpu(), (x,), model, input_names=["x"], output_names=["y"], dynamo=False)
            except Exception as error:  # whatever an exporter lacks is told, and the rest is measured
                record(name=name, batch=batch, engine="sparse-run", not_run=f"the model cannot be exported: {error}")
                model = None
            numpy.save(feed, x.numpy())
            with torch.inference_mode():
                numpy.savez(expected, y=module.cpu()(x).numpy())
            module, x = module.cuda(), x.cuda()
            for precision in ("f32", "tf32", "f16"):
                for engine in ("eager", "compile", "sparse-run"):
                    entry = {"name": name, "batch": batch, "precision": precision, "engine": engine}
                    try:
                        if engine != "sparse-run":
                            entry["ms"] = in_pytorch(torch, module, x, precision, engine == "compile", arguments.seconds)
                        elif model is not None:
                            entry["ms"], entry["agrees"] = in_sparse_run(arguments, model, feed, expected, batch, precision)
                            wrong |= not entry["agrees"]
                        else:
                            continue
                    except Exception as error:  # out of memory, a compiler that is missing: told, and no other is lost
                        entry["not_run"] = f"{type(error).__name__}: {error}".splitlines()[0]
                    record(**entry)
    (arguments.out / "pytorch.json").write_text(json.dumps(results, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
