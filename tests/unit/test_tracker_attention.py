"""The attention that learning uses on CPUs with matrix units, against attention in plain steps."""

import pytest
import torch

from rasa_onramp.tracker.attention import attend


def inputs(batch=3, heads=4, tokens=37, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(batch, heads, tokens, size, generator=generator) for _ in range(4)]
    mask = torch.rand(batch, 1, tokens, tokens, generator=generator) > 0.5
    mask[..., 0] = True
    return tensors, mask


def causal(mask):
    """Earlier tokens don't see later ones, as in a dialogue; how far they see differs by row."""
    mask = mask & torch.ones(mask.shape[-2:], dtype=torch.bool).tril()
    mask[0, 0, :30, 5:] = False
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("tokens", [1, 2, 37])
def test_halved_attention_and_its_gradients_agree_with_plain_operations(narrow, tokens):
    (query, key, value, upstream), mask = inputs(tokens=tokens)
    if narrow:
        mask = causal(mask)
    plain = [t.clone().requires_grad_() for t in (query, key, value)]
    wanted = attend(*plain, mask, plain=True)
    wanted_gradients = torch.autograd.grad((wanted * upstream).sum(), plain)
    half = [t.bfloat16().requires_grad_() for t in (query, key, value)]
    found = attend(*half, mask, plain=False)
    assert type(found.grad_fn).__name__ == "_RememberedBackward"
    found_gradients = torch.autograd.grad((found.float() * upstream).sum(), half)
    torch.testing.assert_close(found.float(), wanted, atol=0.04, rtol=0.04)
    for got, want in zip(found_gradients, wanted_gradients):
        torch.testing.assert_close(got.float(), want, atol=0.06, rtol=0.06)


def test_a_hidden_key_gets_no_gradient():
    (query, key, value, upstream), mask = inputs()
    mask[1, :, :, 5] = False
    half = [t.bfloat16().requires_grad_() for t in (query, key, value)]
    found = attend(*half, mask, plain=False)
    _, of_key, of_value = torch.autograd.grad((found.float() * upstream).sum(), half)
    assert not of_key[1, :, 5].any() and not of_value[1, :, 5].any()
    assert of_key[0, :, 5].any() and of_value[0, :, 5].any()


def test_without_gradients_the_fused_kernel_is_used_and_agrees():
    (query, key, value, _), mask = inputs()
    fused = attend(query, key, value, mask, plain=False)
    torch.testing.assert_close(fused, attend(query, key, value, mask, plain=True))
