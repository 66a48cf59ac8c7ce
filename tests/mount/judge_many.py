"""judge_many.py - judge.py over many damaged files: in children, since decoders crash and hang on such files.

Each question is a Question; its answer is words: "agree (who)", "differ: ...", "refused: ..." (no decoder reads it),
"unjudged: ..." (those that read it can't tell the stored values), "died".
"""
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

import judge
from judge import same_values

SECONDS = 20


@dataclass
class Question:
    path: str          # the file on disk
    got: bytes         # what the mount gave: all of pixels.f32, or what came before an error
    names: list        # channel names and shape from its meta.json
    shape: list
    part: int = 0
    level: int = 0
    whole: bool = True


def exr_rows(question, rows):
    """The first rows alone: the OpenEXR library decodes only the chunks that they need."""
    oiio = judge.oiio
    image = oiio.ImageInput.open(question.path)
    if image is None:
        raise ValueError(oiio.geterror())
    try:
        if not image.seek_subimage(question.part, question.level):
            raise ValueError("no such part")
        spec = image.spec()
        planes = []
        for name in question.names:
            number = list(spec.channelnames).index(name)
            wanted = {"uint": oiio.UINT32}.get(str(spec.channelformat(number)), oiio.FLOAT)
            plane = image.read_scanlines(question.part, question.level, spec.y, spec.y + rows, 0, number, number + 1, wanted)
            if plane is None or image.has_error:
                raise ValueError(image.geterror() or "read failed")
            planes.append(np.asarray(plane).reshape(rows, spec.width).astype(np.float32))
        return np.dstack(planes)
    finally:
        image.close()


def verdict_of_prefix(question):
    """Rows that came before an error: an EXR's are asked for alone; what else decodes whole has them too."""
    width, channels = question.shape[1:]
    rows = len(question.got) // (width * channels * 4)
    got = np.frombuffer(question.got[: rows * width * channels * 4], "<f4").reshape(rows, width, channels)
    if rows == 0:
        return "agree (nothing to judge)"
    if judge.kind_of(question.path) == "exr":
        return "agree (rows alone)" if same_values(got, exr_rows(question, rows)) else "differ: rows before the error"
    for name, (array, _) in judge.verdicts(question.path).items():
        if array.shape[1:] == got.shape[1:] and same_values(got, array[:rows]):
            return f"agree ({name})"
    return "unjudged: no decoder gives the rows before the error"


def verdict(question, without):
    if not question.whole:
        return verdict_of_prefix(question)
    got = np.frombuffer(question.got, "<f4").reshape(question.shape)
    refused, unjudged, differ = [], [], []
    for name, reader in judge.READERS.items():
        if name in without:
            continue
        try:
            array, names = reader(question.path, question.part, question.level) if reader is judge.read_oiio else reader(question.path)
        except judge.Unjudged as why:
            unjudged.append(f"{name}: {why}")
            continue
        except Exception as why:  # whatever a decoder raises means that it can't
            refused.append(f"{name}: {why}"[:150])
            continue
        if set(question.names) <= set(names) and names != question.names:
            array = array[:, :, [names.index(one) for one in question.names]]
        if same_values(got, array):
            return f"agree ({name})"
        differ.append(f"{name}: {judge.difference(got, array)}")
    return f"differ: {'; '.join(differ)}" if differ else f"refused: {'; '.join(refused)}" if refused else f"unjudged: {'; '.join(unjudged)}"


def work():
    """The child: questions come pickled, answers go out a line each, so that a crash loses only the one in hand."""
    questions, todo, without = pickle.load(sys.stdin.buffer)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    out = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for number in todo:
        signal.alarm(SECONDS)
        try:
            words = verdict(questions[number], without)
        except Exception as why:
            words = f"refused: {type(why).__name__} {why}"[:200]
        print(json.dumps([number, words]), file=out, flush=True)


def run_child(questions, todo, without=()):
    """{number: words} of those that were answered before the child died. A new process, not a fork: OpenImageIO's threads
    don't survive one."""
    asked = [question if number in todo else None for number, question in enumerate(questions)]
    done = subprocess.run([sys.executable, "-B", os.path.abspath(__file__)], input=pickle.dumps((asked, todo, without)), stdout=subprocess.PIPE, check=False)
    return dict(json.loads(line) for line in done.stdout.decode().splitlines(keepends=True) if line.endswith("\n"))


def judge_all(questions):
    """The answer to each, in order."""
    answers, todo = {}, list(range(len(questions)))
    while todo:
        answers.update(run_child(questions, todo))
        todo = [number for number in todo if number not in answers]
        if todo:  # the first of them killed the child: it is OpenImageIO that crashes on public files
            answers.update(run_child(questions, todo[:1], without=("OpenImageIO",)) or {todo[0]: "died"})
            todo = todo[1:]
    return [answers[number] for number in range(len(questions))]


if __name__ == "__main__":
    from judge_many import Question, work as work_imported  # noqa: F401: pickles name this module
    work_imported()
