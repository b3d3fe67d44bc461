"""Times PyTorch's SDPA and FlexAttention on the cases of bench/cases.ts: torch_attention.py CASES.json

bench/torch.ts writes the cases and reads results from standard output, a line of JSON each as soon as it is there. Every function first agrees with the float64 reference on a small
form of its case; then each round is timed by CUDA events around a few calls, after a second of warming up.
"""

import json
import sys
import time

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

DEVICE = torch.device("cuda")
# Outputs are means of values in (-1, 1), stored as halves.
TOLERANCE = 5e-3
WARM_SECONDS = 1.0
# A round shorter than this is made of several calls: events have a resolution of half a microsecond.
ROUND_MS = 2.0
compiled_flex = torch.compile(flex_attention, dynamic=False)


def shaped(case, numbers, tokens):
    values = torch.tensor(numbers, dtype=torch.float32, device=DEVICE)
    return values.reshape(case["batch"], case["heads"], tokens, case["headDim"]).half()


def random_inputs(case):
    generator = torch.Generator(device=DEVICE).manual_seed(1)
    shape = lambda tokens: (case["batch"], case["heads"], tokens, case["headDim"])
    draw = lambda tokens: torch.rand(shape(tokens), generator=generator, device=DEVICE).mul_(2).sub_(1).half()
    return draw(case["queryTokens"]), draw(case["keyTokens"]), draw(case["keyTokens"])


def sdpa(case):
    """SDPA knows no sparse mask that it profits from, so those cases are left to FlexAttention."""
    kind = case["mask"]["kind"]
    if kind not in ("none", "causal"):
        return None, "it has no sparse mask; its dense time is in the case dense-long"
    return lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=kind == "causal"), None


def block_mask(case):
    mask = case["mask"]
    queries, keys = case["queryTokens"], case["keyTokens"]
    if mask["kind"] == "none":
        return None
    if mask["kind"] == "causal":
        keep = lambda b, h, q, k: q >= k
        return create_block_mask(keep, None, None, queries, keys, device=DEVICE)
    if mask["kind"] == "window":
        size = mask["size"]
        keep = lambda b, h, q, k: (q >= k) & (q - k < size)
        return create_block_mask(keep, None, None, queries, keys, device=DEVICE)
    # our lists, every listed block kept whole: nothing is masked inside blocks
    lists = torch.tensor(case["lists"], dtype=torch.int32, device=DEVICE)
    rows, columns = lists.shape[0], keys // mask["block"]
    indices = torch.zeros(1, 1, rows, columns, dtype=torch.int32, device=DEVICE)
    indices[0, 0, :, : lists.shape[1]] = lists
    counts = torch.full((1, 1, rows), lists.shape[1], dtype=torch.int32, device=DEVICE)
    return BlockMask.from_kv_blocks(
        torch.zeros_like(counts),
        torch.zeros_like(indices),
        counts,
        indices,
        BLOCK_SIZE=(mask["block"], mask["block"]),
    )


def flex(case):
    mask = block_mask(case)
    # kernel tiles must fit into the blocks of the mask
    tiles = {"BLOCK_M": 64, "BLOCK_N": 64} if case["mask"]["kind"] == "blocks" else None
    return lambda q, k, v: compiled_flex(q, k, v, block_mask=mask, kernel_options=tiles), None


def backward_of(attend, q, k, v):
    inputs = [x.requires_grad_() for x in (q, k, v)]
    output = attend(*inputs)
    gradient = torch.ones_like(output)
    return lambda: torch.autograd.grad(output, inputs, gradient, retain_graph=True)


def time_ms(call, rounds):
    """Milliseconds of one call, one number a round, and the calls a round."""
    call()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    calls = 0
    while time.perf_counter() - begin < WARM_SECONDS:
        call()
        calls += 1
        torch.cuda.synchronize()
    each = max(1, round(ROUND_MS / max((time.perf_counter() - begin) / calls * 1e3, 1e-3)))
    samples = []
    for _ in range(rounds):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(each):
            call()
        end.record()
        torch.cuda.synchronize()
        samples.append(start.elapsed_time(end) / each)
    return samples, each


def difference_on_check(make, case):
    check = case["check"]
    attend, _ = make(check)
    q = shaped(check, check["query"], check["queryTokens"])
    k = shaped(check, check["key"], check["keyTokens"])
    v = shaped(check, check["value"], check["keyTokens"])
    expected = torch.tensor(check["output"], dtype=torch.float32, device=DEVICE)
    return (attend(q, k, v).float().reshape(-1) - expected).abs().max().item()


def tell(part, entry):
    print(json.dumps({"results": [], "skipped": [], part: [entry]}), flush=True)


def main(asked):
    with open(asked, encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    card = torch.cuda.get_device_name()
    for case in cases:
        torch.compiler.reset()  # compiled forms of many shapes would count against a limit and fall back to eager
        for peer, make in (("torch-sdpa", sdpa), ("torch-flex", flex)):
            try:
                attend, why = make(case)
                if attend is None:
                    tell("skipped", {"case": case["id"], "peer": peer, "why": why})
                    continue
                difference = difference_on_check(make, case)
                if not difference <= TOLERANCE:
                    raise ValueError(f"differs from the reference by {difference}, allowed {TOLERANCE}")
                q, k, v = random_inputs(case)
                if case["pass"] == "backward":
                    call = backward_of(attend, q, k, v)
                else:
                    call = lambda: attend(q, k, v)
                samples, each = time_ms(call, case["rounds"])
                tell(
                    "results",
                    {
                        "case": case["id"],
                        "peer": peer,
                        "description": f"PyTorch {torch.__version__}, {card}",
                        "samplesMs": samples,
                        "chains": [each],
                        "difference": difference,
                    },
                )
            except Exception as error:  # one case that fails must not take the others with it
                text = str(error).strip().split("\n")[0][:300]
                tell("skipped", {"case": case["id"], "peer": peer, "why": f"{type(error).__name__}: {text}"})
            finally:
                q = k = v = call = None
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main(*sys.argv[1:])
