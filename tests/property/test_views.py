#!/usr/bin/python3
"""Random views of random pictures, each compared with view_model.py: 20 seconds, or several minutes with --long.

usage: test_views.py [--long] [--seed N] [--specs N] PATH_OF_view_dump

The program under test answers for a picture that is described to it (see tests/unit/view_dump.c); it also reads every view
again in random pieces and fails where they differ. Compared are: the errno of specs that must fail, shape, sample type and
every element: bit for bit where samples are only moved or divided, equal as float32 after arithmetic, within one unit in
the last place after a transfer curve, within 1e-5 after curves or sizes that are followed by more arithmetic.
"""
import argparse
import errno
import io
import json
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image

import view_model as vm

TYPE_NUMBER = {np.dtype('u1'): 0, np.dtype('u2'): 1, np.dtype('u4'): 2, np.dtype('f2'): 3, np.dtype('f4'): 4}


# ---- pictures ----

def samples(rng, dtype, shape, most, wild):
    r = np.random.default_rng(rng.randrange(2 ** 32))
    if dtype == np.float16:
        if wild:
            return r.integers(0, 65536, shape).astype(np.uint16).view(np.float16)
        return r.uniform(-0.2, 2, shape).astype(np.float16)
    if dtype == np.float32:
        if wild:
            return r.integers(0, 2 ** 32, shape, dtype=np.uint64).astype(np.uint32).view(np.float32)
        return r.uniform(-0.2, 2, shape).astype(np.float32)
    a = r.integers(0, most + 1, shape, dtype=np.uint64).astype(dtype)
    if rng.random() < 0.3:  # few different values: keys match, alpha is 0 or 1
        a = r.choice(np.array([0, most, most // 2], np.uint64), shape).astype(dtype)
    return a


def add(picture, rng, name, dtype, divisor, wild, xs=1, ys=1, shown=True):
    shape = (-(-picture.height // ys), -(-picture.width // xs))
    most = divisor if divisor else np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 0
    picture.planes.append(vm.Plane(samples(rng, np.dtype(dtype), shape, most, wild), divisor, xs, ys))
    count = sum(c.shown >= 0 for c in picture.channels)
    picture.channels.append(vm.Channel(name, vm.PLANE, len(picture.planes) - 1, 0, count if shown else -1))


def integer_picture(picture, rng, wild):
    dtype, divisor = rng.choice([('u1', 1), ('u1', 3), ('u1', 15), ('u1', 255), ('u1', 255), ('u1', 255), ('u2', 65535),
                                 ('u2', 65535), ('u2', 4095), ('u1', 100), ('u2', 1000), ('u4', 2 ** 32 - 1)])
    names = rng.choice(['Y', 'YA', 'RGB', 'RGB', 'RGBA', 'RGBA', 'CMYK'])
    for name in names:
        add(picture, rng, name, dtype, divisor, wild)
    if names == 'CMYK':
        picture.adobe = rng.choice([-1, 0, 1])
    if names in ('Y', 'RGB') and rng.random() < 0.3:
        pixel = [p.samples[rng.randrange(picture.height), rng.randrange(picture.width)] for p in picture.planes]
        picture.key = [int(v) for v in pixel] + [0] * (3 - len(pixel))
        picture.channels.append(vm.Channel('A', vm.KEY, 0, 0, len(names)))
    picture.alpha = rng.choice([vm.STRAIGHT, vm.STRAIGHT, vm.PREMULTIPLIED, vm.UNKNOWN, vm.NONE])
    return True


def palette_picture(picture, rng, wild):
    n = rng.choice([1, 2, 7, 256])
    add(picture, rng, 'index', 'u1', 255, wild, shown=False)
    picture.channels.clear()
    picture.planes[0].samples %= np.uint8(n - 1) if n > 1 else np.uint8(1)
    r = np.random.default_rng(rng.randrange(2 ** 32))
    picture.palette = r.integers(0, 256, (n, 4)).astype(np.uint8)
    for i, name in enumerate(rng.choice(['RGB', 'RGBA'])):
        picture.channels.append(vm.Channel(name, vm.PALETTE, 0, i, i))
    picture.alpha = vm.STRAIGHT
    return True


def float_picture(picture, rng, wild):
    prefix = rng.choice(['', '', 'diffuse.', 'ViewLayer.Combined.'])
    mixed = rng.random() < 0.3
    for name in rng.choice(['RGBA', 'RGB', 'Y', 'YA', 'Z', 'XYZ', 'R', 'RZ', 'GBRA']):
        dtype = rng.choice(['f2', 'f4', 'u4']) if mixed else 'f2' if rng.random() < 0.5 else 'f4'
        add(picture, rng, prefix + name, dtype, 0, wild)
    if rng.random() < 0.4:
        add(picture, rng, 'Z', rng.choice(['f4', 'u4', 'f2']), 0, wild, shown=False)
        add(picture, rng, 'other.R', 'f2', 0, wild, shown=False)
    if rng.random() < 0.2:
        for name in rng.sample(['a.R', 'b.R', 'Y2', 'u.v.w', 'A', 'G', 'id+1', 'dir/x'], 4):
            if name not in [c.name for c in picture.channels]:
                add(picture, rng, name, 'f2', 0, wild)
    if rng.random() < 0.3:  # a second layer, all of it or a part
        for name in rng.choice(['RGBA', 'RGB', 'rgba', 'Y', 'UVA', 'XYZ']):
            add(picture, rng, 'more.' + name, 'f2', 0, wild, shown=rng.random() < 0.5)
    picture.alpha = rng.choice([vm.PREMULTIPLIED, vm.PREMULTIPLIED, vm.UNKNOWN])
    if rng.random() < 0.7:  # as OpenEXR's names say it
        for c in picture.channels:
            c.data = vm.is_data(c.name, [o.name for o in picture.channels])
    if rng.random() < 0.5:
        x, y = rng.randrange(-9, 9), rng.randrange(-9, 9)
        picture.data = (x, y, x + picture.width - 1, y + picture.height - 1)
        x, y = x + rng.randrange(-6, 6), y + rng.randrange(-6, 6)
        picture.display = (x, y, x + rng.randrange(0, 30) - (rng.random() < 0.03) * 40, y + rng.randrange(0, 30))
    return False


def subsampled_picture(picture, rng, wild):
    xs, ys = rng.choice([(2, 2), (2, 1), (1, 2), (4, 2)])
    picture.width += -picture.width % xs
    picture.height += -picture.height % ys
    picture.data = picture.display = (0, 0, picture.width - 1, picture.height - 1)
    add(picture, rng, 'BY', 'f2', 0, wild, xs, ys, shown=rng.random() < 0.5)
    add(picture, rng, 'RY', rng.choice(['f2', 'f4']), 0, wild, xs, ys, shown=rng.random() < 0.5)
    add(picture, rng, 'Y', 'f2', 0, wild)
    if rng.random() < 0.6:
        for c in picture.channels:
            c.data, c.shown = c.name != 'Y', -1
        for i, name in enumerate('RGB'):
            picture.channels.append(vm.Channel(name, vm.LUMA_CHROMA, 2, i, i, chroma=(1, 0)))
    return False


def random_picture(rng):
    wild = rng.random() < 0.3
    width = rng.choice([1, 2, 3, 5, 8, 13, 17, 31, 40])
    height = rng.choice([1, 2, 3, 5, 8, 13, 17, 31, 40])
    if rng.random() < 0.06:
        width, height = rng.choice([(1100, 3), (513, 7), (3, 700), (300, 200)])
    picture = vm.Picture(width, height)
    kind = rng.choice([integer_picture] * 4 + [palette_picture, float_picture, float_picture, float_picture, subsampled_picture])
    interleaved = kind(picture, rng, wild)
    picture.interleaved = interleaved and rng.random() < 0.8
    picture.wild = wild and kind in (float_picture, subsampled_picture)
    picture.orientation = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8])
    picture.transfer, picture.gamma, picture.interop = rng.choice(
        [('srgb', 0.0, 'srgb_rec709_scene'), ('srgb', 0.0, 'srgb_rec709_scene'), ('linear', 0.0, 'lin_rec709_scene'),
         ('linear', 0.0, 'unknown'), ('gamma', 2.2, 'g22_rec709_scene'), ('gamma', 1.7, 'unknown'), ('linear', 0.0, 'data'),
         ('unknown', 0.0, 'unknown'), ('icc', 0.0, 'unknown'), ('pq', 0.0, 'unknown'), ('hlg', 0.0, 'unknown'),
         ('bt709', 0.0, 'unknown')])
    picture.chunk = rng.choice([(picture.width, 1), (picture.width, 3), (picture.width, picture.height), (7, 5), (16, 16),
                                (picture.width, 16), (1, 1) if picture.width * picture.height < 200 else (9, 9)])
    return picture


def send_picture(pipe, picture):
    pipe.write(b'picture %d %d %d %d %d %d %d %s %r %s %d\n' % (
        picture.width, picture.height, *picture.chunk, picture.interleaved, picture.alpha, picture.orientation,
        picture.transfer.encode(), picture.gamma, picture.interop.encode(), picture.adobe))
    pipe.write(('window %d %d %d %d %d %d %d %d\n' % (*picture.data, *picture.display)).encode())
    for p in picture.planes:
        pipe.write(b'plane %d %d %d %d %d\n' % (TYPE_NUMBER[p.samples.dtype], p.divisor, p.xs, p.ys, p.samples.nbytes))
        pipe.write(p.samples.tobytes())
    for c in picture.channels:
        pipe.write(b'channel %s %d %d %d %d %d %d %d\n' % (c.name.encode(), c.origin, c.plane, c.component, c.shown, c.data, *c.chroma))
    pipe.write(b'luma %.9g %.9g %.9g\n' % vm.LUMA)
    if picture.palette is not None:
        pipe.write(b'palette %d\n' % len(picture.palette) + picture.palette.tobytes())
    if picture.key:
        pipe.write(b'key %d %d %d\n' % tuple(picture.key))


# ---- specs ----

def random_op(rng, picture):
    w, h = picture.width, picture.height
    kind = rng.randrange(100)
    if kind < 34:
        return rng.choice(['pixels', 'rgb', 'rgba', 'bgr', 'bgra', 'r', 'g', 'b', 'a', 'gray', 'rgb', 'gray', 'opaque', 'chw', 'squeeze',
                           'chw', 'squeeze'])
    if kind < 50:
        return rng.choice(['packed', 'range=0:1', 'range=.25:-2', 'range=0:255', 'linear', 'srgb', 'premul', 'straight', 'linear', 'premul', 'straight', 'over=1:1:1', 'over=0:0.5:.25',
                           'over=-1:2.5:0.1', 'assume=srgb_rec709_scene', 'assume=lin_rec709_scene', 'assume=g22_rec709_scene',
                           'assume=data', 'assume=unknown', 'assume=pq_rec2020_display', 'assume=hlg_rec2020_display',
                           'assume=g18_rec709_scene', 'norm=imagenet', 'rgb,norm=imagenet'])
    if kind < 66:
        return rng.choice(['upright', 'bottomup', 'mirror', 'rot=90', 'rot=180', 'rot=270', 'rot=0', 'square', 'display', 'blender'])
    if kind < 74:
        return 'crop=%d:%d:%d:%d' % (rng.randrange(-3, w), rng.randrange(-3, h), rng.randrange(1, w + 6), rng.randrange(1, h + 6))
    if kind < 80:
        names = [c.name for c in picture.channels] + ['R', 'A', 'Z', 'index', 'B']
        names = [n.replace('+', '%2B').replace('/', '%2f') if '+' in n or '/' in n else n for n in names]
        return 'ch=' + '+'.join(rng.choice(names) for _ in range(rng.choice([1, 1, 2, 3, 5])))
    if kind < 84:
        return rng.choice(['f32', 'f16', 'u8', 'u16'])
    if kind < 92:
        size = rng.choice(['size=%dx%d' % (rng.randrange(1, 60), rng.randrange(1, 60)), 'long=%d' % rng.randrange(1, 60),
                           'short=%d' % rng.randrange(1, 40), 'fit=%dx%d' % (rng.randrange(1, 60), rng.randrange(1, 60))])
        if rng.random() < 0.6:
            size += ',filter=' + rng.choice(['nearest', 'box', 'linear', 'cubic', 'lanczos3'])
        return size
    if kind < 95:
        return rng.choice(['native', 'values'])
    return rng.choice(['', 'rot=45', 'crop=1:2:3', 'crop=999999:0:1:1', 'crop=0:0:0:4', 'size=0x4', 'size=99999x99999', 'Rgb', 'rgb=1',
                       'crop', 'crop=', 'filter=box', 'filter=sinc', 'ch=', 'ch=R++G', 'ch=nosuch', 'norm=other', 'assume=foo',
                       'assume=studio:show', 'over=1:2', 'over=1:2:x', 'over=1:2:3:4', 'size=4294967296x1', 'rot=-90', 'size=3x',
                       'long=99999999999999999999', 'zoom=2', 'range=1', 'range=1:1', 'range=0:x', 'native=1', 'range=1:2:3', 'crop=-5:-5:3:99', 'over=1.1234567890123456:0:0', 'rgbaa', ' rgb'])


def random_spec(rng, picture):
    ops = [random_op(rng, picture) for _ in range(rng.choice([1, 1, 2, 2, 3, 4, 6]))]
    if rng.random() < 0.2:
        ops.insert(rng.randrange(len(ops) + 1), rng.choice(['native', 'native', 'values']))
    return ','.join(ops) + '.' + rng.choice(
        ['f32', 'f32', 'npy', 'npy', 'npy', 'f16', 'u8', 'u16', 'jpg' if rng.random() < 0.1 else 'f32', 'png', 'tif', 'json'])


# ---- comparing ----

def exact(got, want):
    return got.tobytes() == np.ascontiguousarray(want).tobytes()


def near(got, want, relative):
    g, w = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(all='ignore'):
        return bool(np.all((g == w) | (np.isnan(g) & np.isnan(w)) | (np.abs(g - w) <= relative * (1 + np.abs(w)))))


def ulps(got, want):
    def order(a):
        i = a.view(np.int32).astype(np.int64)
        return np.where(i < 0, -(i & 0x7fffffff), i)
    nan = np.isnan(got) & np.isnan(want)
    distance = np.abs(order(got) - order(want))
    return int(np.where(nan, 0, distance).max())


def agrees(model, got, want, wild):
    """None, or what is wrong."""
    loose = model.close or model.tolerance
    if not model.valued and not loose:
        if want.dtype == np.float16 and not model.native:  # numpy and the engine both keep a NaN's payload, not its quiet bit alone
            pass
        return None if exact(got, want) else 'bits differ'
    if not loose:
        same = np.array_equal(got, want, equal_nan=got.dtype.kind == 'f')
        return None if same else 'values differ'
    if wild or model.vague:
        return None  # infinities and cancellation: nothing sharp can be said
    if got.dtype.kind == 'u':
        step = int(np.abs(got.astype(np.int64) - want.astype(np.int64)).max())
        return None if step <= 1 else 'off by %d steps' % step
    if model.tolerance == 1 and not model.close and model.only_curve and got.dtype == np.float32:
        return None if ulps(got, want) <= (3 if model.covered else 1) else '%d ulp off' % ulps(got, want)
    if got.dtype == np.float16:
        return None if near(got, want, 1e-3) else 'off'
    return None if near(got, want, 1e-5) else 'off by %g' % np.nanmax(np.abs(got.astype(np.float64) - want.astype(np.float64)))


class Failure(Exception):
    pass


def read_tiff(data, want, model):
    """The samples of an uncompressed TIFF by its own tags, (H, W, C) or (C, H, W)."""
    if data[:4] != b'II*\0':
        raise Failure('no TIFF')
    at, = struct.unpack('<I', data[4:8])
    count, = struct.unpack('<H', data[at:at + 2])
    tags = {}
    for i in range(count):
        entry = data[at + 2 + 12 * i:at + 14 + 12 * i]
        tag, kind, n = struct.unpack('<HHI', entry[:8])
        size = {3: 2, 4: 4, 5: 8}[kind] * n
        where = entry[8:8 + size] if size <= 4 else data[struct.unpack('<I', entry[8:])[0]:][:size]
        tags[tag] = struct.unpack('<%d%s' % (n * (2 if kind == 5 else 1), {3: 'H', 4: 'I', 5: 'I'}[kind]), where)
    if list(tags) != sorted(tags):
        raise Failure('TIFF tags out of order')
    c, w, h = tags[277][0], tags[256][0], tags[257][0]
    dtype = np.dtype('%s%d' % ({1: 'u', 3: 'f'}[tags[339][0]], tags[258][0] // 8))
    strips = [data[o:o + n] for o, n in zip(tags[273], tags[279])]
    planar = tags[284][0] == 2
    if len(strips) != (c if planar else 1) or len(set(tags[258])) != 1 or len(tags[258]) != c or tags[259] != (1,):
        raise Failure('TIFF tags contradict')
    roles = [s.role for s in model.shown]
    plain = 3 if roles[:3] == ['R', 'G', 'B'] else 1
    alpha = roles.index('A') if 'A' in roles else 0
    extra = [0 if i != alpha else 1 if model.alpha == vm.PREMULTIPLIED else 2 for i in range(plain, c)]
    if tags[262][0] != {1: 1, 3: 2}[plain] or list(tags.get(338, ())) != extra:
        raise Failure('TIFF says %s and %s, wants %s' % (tags[262], tags.get(338), extra))
    a = np.frombuffer(b''.join(strips), dtype)
    return a.reshape((c, h, w) if planar else (h, w, c)).reshape(want.shape)


def check_png(data):
    """All checksums, and nothing behind the end."""
    at, idat = 8, b''
    while at < len(data):
        n, kind = struct.unpack('>I4s', data[at:at + 8])
        if struct.unpack('>I', data[at + 8 + n:at + 12 + n])[0] != zlib.crc32(data[at + 4:at + 8 + n]):
            raise Failure('CRC of %s' % kind)
        idat += data[at + 8:at + 8 + n] if kind == b'IDAT' else b''
        at += 12 + n
    if kind != b'IEND' or at != len(data):
        raise Failure('the PNG ends with %s' % kind)
    try:
        zlib.decompress(idat)
    except zlib.error as error:
        raise Failure('zlib: %s' % error)


def unpack(extension, answer, model, want):
    """The array in an answer's bytes; None: there was none, and all was right."""
    data = answer['bytes']
    if extension == 'json':
        told = json.loads(data)
        if told['shape'] != list(want.shape) or np.dtype(told['dtype']) != want.dtype or told['nbytes'] != want.nbytes:
            raise Failure('the JSON tells something else')
        if len(told['channel_names']) != len(model.shown):
            raise Failure('the JSON names other channels')
        model.canonical = told['spec']
        return None
    if extension == 'png':
        check_png(data)
        image = Image.open(io.BytesIO(data))
        image.load()
        if image.mode != {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}[len(model.shown)]:
            raise Failure('PNG of mode ' + image.mode)
        return np.asarray(image).reshape(want.shape)
    if extension == 'tif':
        return read_tiff(data, want, model)
    if extension == 'npy' and (answer['header'] != 128 or data[:6] != b'\x93NUMPY'):
        raise Failure('no npy header')
    if extension != 'npy' and answer['header']:
        raise Failure('a header on a raw file')
    return np.frombuffer(data, want.dtype, offset=answer['header']).reshape(want.shape)


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Failure('the program ended with status %d' % self.process.wait())
        return answer

    def view(self, line):
        answer = json.loads(self.ask(line))
        if answer['rc'] == 0:
            answer['bytes'] = self.process.stdout.read(answer['nbytes'])
        return answer


def check_canonical(program, spec, canonical, seed):
    """The canonical spec is one: it means the same, and is its own canonical spec."""
    plain = program.view('view %d %s.npy' % (seed, spec.rpartition('.')[0]))
    again = program.view('view %d %s.npy' % (seed, canonical))
    told = program.view('view %d %s.json' % (seed, canonical))
    if again.get('bytes') != plain['bytes'] or json.loads(told['bytes'])['spec'] != canonical:
        raise Failure('canonical spec %s is another view' % canonical)


def check_spec(program, picture, spec, seed, counts):
    answer = program.view('view %d %s' % (seed, spec))
    ops = spec.rpartition('.')[0].split(',')
    try:
        model, want = vm.evaluate(picture, spec)
    except vm.ViewError as error:
        counts['errors'] += 1
        if spec.endswith('.json') and error.code in (errno.EINVAL, errno.EFBIG):
            told = json.loads(answer['bytes'])['error'] if answer['rc'] == 0 else {}
            if told.get('errno') != errno.errorcode[error.code] or not told['message'] or answer['shape']:
                raise Failure('wants a JSON that tells of %s, got %s' % (errno.errorcode[error.code], told or answer))
            return
        if answer['rc'] != -error.code:
            raise Failure('wants %s (%s), got %s' % (errno.errorcode[error.code], error, answer.get('words', 'a view')))
        return
    if answer['rc'] != 0:
        raise Failure('wants a view, got ' + answer['words'])
    if spec.endswith('.png'):
        ops.append('srgb')
        ops.append('straight')
    model.only_curve = sum(op.partition('=')[0] in ('linear', 'srgb', 'premul', 'straight', 'over', 'norm', 'gray') for op in ops) == 1 and \
        picture.adobe < 0 and not any(c.name == 'C' for c in picture.channels)
    counts['views'] += 1
    if answer['shape'] != list(want.shape) or np.dtype(answer['dtype']) != want.dtype:
        raise Failure('shape %s %s, wants %s %s' % (answer['shape'], answer['dtype'], want.shape, want.dtype))
    got = unpack(spec.rpartition('.')[2], answer, model, want)
    if got is None:
        check_canonical(program, spec, model.canonical, seed)
        return
    wrong = agrees(model, got, np.ascontiguousarray(want), picture.wild)
    if wrong:
        bad = np.flatnonzero(got.ravel() != np.ascontiguousarray(want).ravel())
        at = int(bad[0]) if len(bad) else 0
        raise Failure('%s; first at %d of %d: %r, wants %r' % (wrong, at, got.size, got.ravel()[at], want.ravel()[at]))


def check_channels(program, picture, seed, counts):
    for i, channel in enumerate(picture.channels):
        answer = program.view('channelview %d %d %d' % (seed, i, seed % 2))
        want = vm.channel_values(picture, channel, repeat=False)
        if answer['rc'] != 0 or answer['shape'] != list(want.shape):
            raise Failure('channel %s: %s' % (channel.name, answer.get('words', answer.get('shape'))))
        got = np.frombuffer(answer['bytes'], np.float32, offset=answer['header']).reshape(want.shape)
        made = channel.origin == vm.LUMA_CHROMA  # computed: a NaN is any NaN
        if not (np.array_equal(got, want, equal_nan=True) if made else exact(got, want)):
            raise Failure('channel %s: bits differ' % channel.name)
        counts['channels'] += 1


def run(path, seed, nspecs, per_picture=12):
    rng = random.Random(seed)
    counts = {'views': 0, 'errors': 0, 'channels': 0}
    program = Program(path)
    for _ in range(0, nspecs, per_picture):
        picture = random_picture(rng)
        where = ''
        if not any(c.shown >= 0 for c in picture.channels):
            continue
        send_picture(program.process.stdin, picture)
        try:
            where = 'channels'
            check_channels(program, picture, rng.randrange(1000), counts)
            for _ in range(per_picture):
                where = random_spec(rng, picture)
                check_spec(program, picture, where, rng.randrange(10 ** 6), counts)
        except Failure as failure:
            print('FAIL %s: %s' % (where, failure))
            print('  seed %d, %dx%d in chunks of %s, %s, alpha %d, orientation %d, channels %s' % (
                seed, picture.width, picture.height, picture.chunk, (picture.transfer, picture.gamma, picture.interop), picture.alpha,
                picture.orientation,
                ' '.join('%s:%s' % (c.name, picture.planes[c.plane].samples.dtype) + ('' if c.shown >= 0 else '(hidden)')
                         for c in picture.channels)))
            return 1, counts
    program.process.stdin.close()
    if program.process.wait() != 0:
        print('FAIL the program ended with status %d' % program.process.returncode)
        return 1, counts
    return 0, counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--long', action='store_true')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--specs', type=int)
    parser.add_argument('program')
    options = parser.parse_args()
    failed, counts = run(options.program, options.seed, options.specs or (600000 if options.long else 60000))
    print('%(views)d views and %(channels)d channels compared, %(errors)d specs refused as they must be' % counts)
    return failed


if __name__ == '__main__':
    sys.exit(main())
