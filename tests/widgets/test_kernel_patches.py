"""Patches of ipykernel and ipywidgets do their work, and nothing where the internals differ."""

from types import SimpleNamespace

import ipywidgets as ipw

from widgets.kit import kernel_patches


def kernel_of(monkeypatch, **internals):
    """A process whose kernel has these attributes only."""
    kernel = SimpleNamespace(**internals)
    monkeypatch.setattr(kernel_patches, "running_kernel", lambda: kernel)
    return kernel


def test_an_open_widget_is_listed_until_it_is_closed():
    label = ipw.Label("a")
    assert label in kernel_patches.open_widgets()
    label.close()
    assert label not in kernel_patches.open_widgets()


def test_without_the_registry_of_ipywidgets_no_widget_is_listed(monkeypatch):
    monkeypatch.delattr(kernel_patches.ipywidgets_widget, "_instances")
    assert kernel_patches.open_widgets() == []


def test_messages_are_held_or_sent(monkeypatch):
    sent, held = [], []
    thread = SimpleNamespace(send_multipart=lambda *parts, **options: sent.append(parts))
    kernel_of(monkeypatch, iopub_thread=thread)

    def hold(parts, options):
        if parts[0] == "later":
            held.append(parts)
        return parts[0] == "later"

    send = kernel_patches.intercept_sending(hold)
    for word in ("now", "later"):
        thread.send_multipart(word)
    assert (sent, held) == ([("now",)], [("later",)])
    assert send is not None
    send("later")
    assert sent == [("now",), ("later",)]


def test_another_ipykernel_is_left_as_it_is(monkeypatch):
    kernel_of(monkeypatch, iopub_thread=SimpleNamespace())
    assert kernel_patches.intercept_sending(lambda parts, options: True) is None
    assert kernel_patches.wrap_handlers(("comm_msg",), lambda answer: answer)
    kernel_patches.on_connection(lambda thread: 1 / 0)


def test_handlers_of_requests_are_wrapped(monkeypatch):
    kernel = kernel_of(monkeypatch, shell_handlers={"comm_msg": lambda: 1, "other": lambda: 2})
    wrapped = kernel_patches.wrap_handlers(
        ("comm_msg", "comm_open"), lambda answer: lambda: -answer()
    )
    assert wrapped
    assert [answer() for answer in kernel.shell_handlers.values()] == [-1, 2]


def test_a_process_without_a_kernel_has_nothing_to_patch():
    assert kernel_patches.intercept_sending(lambda parts, options: True) is None
    assert not kernel_patches.wrap_handlers(("comm_msg",), lambda answer: answer)
