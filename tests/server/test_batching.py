"""Every request gets its own answer, whoever else asks at the same time."""

import asyncio
import io
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PilImage

from mien.core.errors import BusyError, InternalError, MediaError
from mien.faces.quality import QualityGate
from mien.media.image import Image, load_image
from mien.server.batching import MicroBatcher


class Toy:
    """A pipeline whose answer names the picture; it can be held up and made to fail."""

    def __init__(self, seconds=0.0):
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.seconds = seconds
        self.batches = []
        self.rules = []

    def analyse_batch(self, images, *, gate=None, which="all"):
        self.entered.set()
        self.gate.wait(5)
        time.sleep(self.seconds)
        self.batches.append([int(image.pixels[0, 0, 0]) for image in images])
        self.rules.append((gate, which))
        if any(image.pixels[0, 0, 0] == 66 for image in images):
            raise KeyError("Ada Lovelace")
        return [SimpleNamespace(number=int(image.pixels[0, 0, 0])) for image in images]


def numbered(number, side=4):
    pixels = np.full((side, side, 3), number, np.uint8)
    return Image(pixels, "<toy>", (), "RGB")


def run(work, toy, **options):
    """Run a coroutine function with a batcher, and close that afterwards."""

    async def main():
        batcher = MicroBatcher(toy, **({"workers": 1} | options))
        try:
            return await work(batcher)
        finally:
            if isinstance(toy, Toy):
                toy.gate.set()
            await batcher.close(5)

    return asyncio.run(main())


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen")


async def occupy(batcher, toy):
    """Give the only worker something that holds it until the gate is opened."""
    toy.gate.clear()
    task = asyncio.create_task(batcher.analyse(numbered(0)))
    await until(toy.entered.is_set)
    return task


@pytest.fixture(scope="module")
def pictures(portraits):
    """64 different pictures as files, told apart by their sizes."""
    files = []
    for path in portraits.values():
        with PilImage.open(path) as portrait:
            for n in range(16):
                width = 120 + 7 * len(files) % 97
                small = portrait.convert("RGB").resize((width, 150 + 3 * n))
                file = io.BytesIO()
                small.save(file, "JPEG", quality=85)
                files.append(file.getvalue())
    return files


def test_64_requests_at_once_get_what_they_would_get_alone(pipeline, pictures):
    async def work(batcher):
        return await asyncio.gather(*map(batcher.analyse, pictures))

    sizes = []
    found = run(work, pipeline, workers=3, on_batch=sizes.append)
    assert sum(sizes) == 64
    assert max(sizes) > 1
    for file, together in zip(pictures, found, strict=True):
        alone = pipeline.analyse(file)
        assert together.size == alone.size
        assert len(together.faces) == len(alone.faces) == 1
        np.testing.assert_allclose(together.faces.boxes, alone.faces.boxes, atol=0.05)
        cosine = float(together.faces.embeddings[0] @ alone.faces.embeddings[0])
        assert cosine > 0.9999


def test_many_waves_of_requests_never_swap_answers():
    toy = Toy()

    async def ask(batcher, number):
        for _ in range(20):
            assert (await batcher.analyse(numbered(number))).number == number

    async def work(batcher):
        await asyncio.gather(*(ask(batcher, n) for n in range(64)))

    run(work, toy, workers=4)
    assert sum(map(len, toy.batches)) == 64 * 20


def test_a_broken_picture_fails_alone(pipeline, pictures):
    broken = pictures[0][:200]

    async def work(batcher):
        sources = [pictures[1], broken, b"no picture", pictures[2]]
        return await asyncio.gather(*map(batcher.analyse, sources), return_exceptions=True)

    one, cut, text, two = run(work, pipeline)
    assert isinstance(cut, MediaError)
    assert isinstance(text, MediaError)
    assert one.size == load_image(pictures[1]).pixels.shape[1::-1]
    assert two.size == load_image(pictures[2]).pixels.shape[1::-1]


def test_a_picture_that_breaks_the_pipeline_fails_alone_and_says_nothing():
    toy = Toy()

    async def work(batcher):
        first = await occupy(batcher, toy)
        rest = [asyncio.create_task(batcher.analyse(numbered(n))) for n in (2, 66, 3)]
        await until(lambda: batcher.waiting == 3)
        toy.gate.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    first, two, broken, three = run(work, toy)
    assert (first.number, two.number, three.number) == (0, 2, 3)
    assert isinstance(broken, InternalError)
    assert broken.what == "unexpected KeyError"
    assert toy.batches == [[0], [2, 66, 3], [2], [66], [3]]


def test_a_worker_survives_what_it_is_told_to_report_to():
    def fail(size):
        raise ZeroDivisionError

    async def work(batcher):
        for _ in range(2):
            with pytest.raises(InternalError, match="unexpected ZeroDivisionError"):
                await batcher.analyse(numbered(1))

    run(work, Toy(), on_batch=fail)


def test_one_more_than_may_wait_is_told_to_come_again():
    toy = Toy()

    async def work(batcher):
        tasks = [await occupy(batcher, toy)]
        tasks += [asyncio.create_task(batcher.analyse(numbered(n))) for n in range(1, 6)]
        await until(lambda: batcher.waiting == 5)
        with pytest.raises(BusyError, match="5 pictures are waiting already") as caught:
            await batcher.analyse(numbered(6))
        assert caught.value.facts["retry_after_s"] >= 1
        toy.gate.set()
        return [found.number for found in await asyncio.gather(*tasks)]

    assert run(work, toy, max_waiting=5) == list(range(6))


def test_who_gives_up_while_waiting_leaves_the_queue():
    toy = Toy()

    async def work(batcher):
        first = await occupy(batcher, toy)
        rest = [asyncio.create_task(batcher.analyse(numbered(n))) for n in (1, 2, 3)]
        await until(lambda: batcher.waiting == 3)
        rest[1].cancel()
        await until(lambda: batcher.waiting == 2)
        toy.gate.set()
        await asyncio.gather(first, rest[0], rest[2])

    run(work, toy)
    assert toy.batches == [[0], [1, 3]]


def test_who_gives_up_while_being_worked_on_disturbs_nobody():
    toy = Toy(seconds=0.05)

    async def work(batcher):
        one = asyncio.create_task(batcher.analyse(numbered(1)))
        await asyncio.sleep(0.02)
        one.cancel()
        return await batcher.analyse(numbered(2))

    assert run(work, toy).number == 2


def test_what_waits_is_finished_before_the_end_and_nothing_more_is_taken():
    toy = Toy(seconds=0.02)

    async def main():
        batcher = MicroBatcher(toy, workers=1, batch_max=1)
        tasks = [asyncio.create_task(batcher.analyse(numbered(n))) for n in range(5)]
        await asyncio.sleep(0)
        await batcher.close()
        with pytest.raises(BusyError, match="the service is ending"):
            await batcher.analyse(numbered(9))
        return [found.number for found in await asyncio.gather(*tasks)]

    assert asyncio.run(main()) == list(range(5))


def test_what_cannot_be_finished_in_time_is_answered_with_an_error():
    toy = Toy()

    async def main():
        toy.gate.clear()
        batcher = MicroBatcher(toy, workers=1, batch_max=1)
        tasks = [asyncio.create_task(batcher.analyse(numbered(n))) for n in range(2)]
        await until(lambda: batcher.waiting == 1)
        await batcher.close(0.05)
        with pytest.raises(BusyError, match="the service is ending"):
            await tasks[1]
        toy.gate.set()
        return (await tasks[0]).number

    assert asyncio.run(main()) == 0


def test_a_request_alone_does_not_wait_for_others():
    async def work(batcher):
        start = time.perf_counter()
        for n in range(10):
            await batcher.analyse(numbered(n))
        return time.perf_counter() - start

    assert run(work, Toy(), workers=2, batch_wait_ms=200) < 1.5


def test_while_another_worker_is_busy_a_moments_wait_fills_the_batch():
    toy = Toy()

    async def work(batcher):
        tasks = [await occupy(batcher, toy)]
        for n in range(1, 5):
            tasks.append(asyncio.create_task(batcher.analyse(numbered(n))))
            await asyncio.sleep(0.01)
        await until(lambda: batcher.waiting == 0)
        toy.gate.set()
        await asyncio.gather(*tasks)

    run(work, toy, workers=2, batch_wait_ms=3000, batch_max=4)
    assert sorted(toy.batches) == [[0], [1, 2, 3, 4]]


def test_the_moment_is_over_in_time_though_nobody_else_comes():
    toy = Toy()

    async def work(batcher):
        tasks = [await occupy(batcher, toy), asyncio.create_task(batcher.analyse(numbered(1)))]
        await until(lambda: batcher.waiting == 1)
        await until(lambda: batcher.waiting == 0)
        toy.gate.set()
        await asyncio.gather(*tasks)

    run(work, toy, workers=2, batch_wait_ms=50)
    assert sorted(toy.batches) == [[0], [1]]


def test_idle_workers_share_what_is_waiting():
    toy = Toy(seconds=0.1)

    async def work(batcher):
        await asyncio.sleep(0.05)
        with batcher._ready:  # all at once
            tasks = [asyncio.create_task(batcher.analyse(numbered(n))) for n in range(4)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    run(work, toy, workers=2)
    assert sorted(map(len, toy.batches)) == [2, 2]


def test_requests_with_other_wishes_are_not_mixed():
    toy = Toy()
    gate = QualityGate.probe()

    async def work(batcher):
        tasks = [await occupy(batcher, toy)]
        for n in range(1, 7):
            wish = {"gate": gate} if n % 2 else {"which": "main"}
            tasks.append(asyncio.create_task(batcher.analyse(numbered(n), **wish)))
        await until(lambda: batcher.waiting == 6)
        toy.gate.set()
        await asyncio.gather(*tasks)

    run(work, toy)
    assert toy.batches[1:] == [[1, 3, 5], [2, 4, 6]]
    assert toy.rules[1:] == [(gate, "all"), (None, "main")]


def test_large_pictures_are_not_all_held_at_once():
    toy = Toy()

    async def work(batcher):
        tasks = [await occupy(batcher, toy)]
        large = [numbered(n, side=3000) for n in range(1, 5)]
        tasks += [asyncio.create_task(batcher.analyse(image)) for image in large]
        await until(lambda: batcher.waiting == 4)
        toy.gate.set()
        return await asyncio.gather(*tasks)

    assert [found.number for found in run(work, toy)] == [0, 1, 2, 3, 4]
    assert toy.batches == [[0], [1, 2], [3, 4]]


def test_an_event_loop_that_ended_does_not_end_the_workers():
    toy = Toy(seconds=0.1)
    batcher = MicroBatcher(toy, workers=1)

    async def leave():
        task = asyncio.create_task(batcher.analyse(numbered(1)))
        await asyncio.sleep(0.02)
        task.cancel()

    async def come_later():
        found = await batcher.analyse(numbered(2))
        await batcher.close()
        return found.number

    asyncio.run(leave())
    time.sleep(0.15)
    assert asyncio.run(come_later()) == 2
