"""What a view must hold, written from the README alone (Views, Values), in numpy; Pillow is the judge of resizing.

A picture is a Picture; evaluate(picture, spec) gives the array, or raises ViewError with the errno that compiling the spec
must give. Nothing here is fast, and nothing is taken from the engine.
"""
import errno
import re
from urllib.parse import unquote

import numpy as np
from PIL import Image

F32 = np.float32
TYPES = {'u1': np.uint8, 'u2': np.uint16, 'u4': np.uint32, 'f2': np.float16, 'f4': np.float32}
PLANE, PALETTE, KEY, LUMA_CHROMA = 0, 1, 2, 3
LUMA = (0.25, 0.625, 0.125)  # any weights will do
NONE, STRAIGHT, PREMULTIPLIED, UNKNOWN = 0, 1, 2, 3
MOST_PIXELS = 2 ** 31


class ViewError(Exception):
    def __init__(self, code, words):
        super().__init__(words)
        self.code = code


def einval(words):
    return ViewError(errno.EINVAL, words)


class Plane:
    def __init__(self, samples, divisor, xs=1, ys=1):
        self.samples, self.divisor, self.xs, self.ys = samples, divisor, xs, ys


class Channel:
    """A channel of the part: where its values come from, and its place in the picture (-1: not shown)."""

    def __init__(self, name, origin, plane, component=0, shown=-1, data=False, chroma=(0, 0)):
        self.name, self.origin, self.plane, self.component, self.shown = name, origin, plane, component, shown
        self.data, self.chroma = data, chroma


class Picture:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.planes, self.channels = [], []
        self.palette, self.key = None, None
        self.alpha, self.orientation = NONE, 0
        self.transfer, self.gamma, self.interop, self.adobe = 'unknown', 0.0, 'unknown', -1
        self.data = self.display = (0, 0, width - 1, height - 1)


def half_to_float(a):
    """binary16 -> binary32 without touching the payload of a NaN."""
    out = a.astype(F32)
    bits = a.view(np.uint16).astype(np.uint32)
    nan = (bits & 0x7fff) > 0x7c00
    out.view(np.uint32)[nan] = ((bits & 0x8000) << 16 | 0x7f800000 | (bits & 0x3ff) << 13)[nan]
    return out


def plane_values(plane):
    a = plane.samples
    if a.dtype == np.float32:
        return a.copy()
    if a.dtype == np.float16:
        return half_to_float(a)
    a = a.astype(F32)
    return a / F32(plane.divisor) if plane.divisor else a


def full_size(picture, plane):
    return plane_values(plane).repeat(plane.ys, 0).repeat(plane.xs, 1)[:picture.height, :picture.width]


def luma_chroma(picture, channel):
    """R, G or B: R = (RY + 1) Y, B = (BY + 1) Y, and G so that the weighted sum is Y; Y alone where both are 0."""
    y, ry, by = (full_size(picture, picture.planes[p]) for p in (channel.plane, *channel.chroma))
    one, (wr, wg, wb) = F32(1), (F32(w) for w in LUMA)
    with np.errstate(all='ignore'):
        r, b = (ry + one) * y, (by + one) * y
        g = np.where((ry == 0) & (by == 0), y, (y - r * wr - b * wb) / wg)
    return (r, g, b)[channel.component]


def channel_values(picture, channel, repeat=True):
    plane = picture.planes[channel.plane]
    if channel.origin == LUMA_CHROMA:
        return luma_chroma(picture, channel)
    if channel.origin == PALETTE:
        return (picture.palette[plane.samples][..., channel.component].astype(F32) / F32(255))
    if channel.origin == KEY:
        same = np.ones((picture.height, picture.width), bool)
        for p, key in zip(picture.planes, picture.key):
            same &= p.samples == key
        return np.where(same, F32(0), F32(1))
    values = plane_values(plane)
    if repeat:
        values = values.repeat(plane.ys, 0).repeat(plane.xs, 1)[:picture.height, :picture.width]
    return values


class Shown:
    """role: R G B A, L (gray), C M Y K; c and v: a colour and an alpha of a layer that has no roles; '' else."""

    def __init__(self, name, role, values, plane=None, data=False, channel=None):
        self.name, self.role, self.values, self.plane, self.data, self.channel = name, role, values, plane, data, channel

    def like(self, values):
        return Shown(self.name, self.role, values, self.plane, self.data, self.channel)

    def is_colour(self):
        return not self.data and self.role in tuple('RGBLc')


def layer_of(name):
    return name.rpartition('.')[0]


def component_of(name):
    return name.rpartition('.')[2]


def letter_of(name):
    words = {'r': 'R', 'red': 'R', 'g': 'G', 'green': 'G', 'b': 'B', 'blue': 'B', 'a': 'A', 'alpha': 'A'}
    last = component_of(name)
    return words.get(last.lower(), last if last in tuple('YCMK') else '')


def is_data(name, names):
    """Of OpenEXR's channels: all but R, G, B, A and Y, and a Y beside an X or a Z."""
    beside = {component_of(n).upper() for n in names if layer_of(n) == layer_of(name)}
    return letter_of(name) not in tuple('RGBAY') or (letter_of(name) == 'Y' and bool(beside & {'X', 'Z'}))


def open_role(name, data):
    letter = '' if data else letter_of(name)
    return 'v' if letter == 'A' else 'c' if letter else ''


def layer_with(channels, role):
    """The layer of that role's channels: the root where it has one, else the only one; None: none or several."""
    layers = {layer_of(s.name) for s in channels if s.role == role}
    return '' if '' in layers else layers.pop() if len(layers) == 1 else None


def settle(channels):
    """Gives the channels of one layer their roles."""
    colours = any(s.role == 'c' for s in channels)
    layer = layer_with(channels, 'c' if colours else 'v')
    seen = set()
    for s in channels:
        if s.role == 'c' and layer_of(s.name) == layer and letter_of(s.name) not in seen:
            s.role = letter_of(s.name)
            seen.add(s.role)
    if not set('CMYK') <= seen:
        for s in channels:
            if s.role in tuple('CMK') or (s.role == 'c' and letter_of(s.name) in tuple('CMK')):
                s.role = ''
            elif s.role == 'Y':
                s.role = '' if seen & set('RGB') else 'L'
    alpha = next((s for s in channels if s.role == 'v' and layer_of(s.name) == layer), None)
    if alpha:
        alpha.role = 'A'


def promote(channels):
    """What a choice by name makes of channels that had no role so far."""
    if all(s.role in ('', 'A', 'c', 'v') for s in channels):
        settle(channels)
    rest = [s for s in channels if s.role == 'v']
    if not any(s.role == 'A' for s in channels) and len(rest) == 1:
        rest[0].role = 'A'


def srgb_to_linear(v):
    a = np.abs(v.astype(np.float64))
    with np.errstate(all='ignore'):
        out = np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)
    return np.copysign(out, v)


def linear_to_srgb(v):
    a = np.abs(v.astype(np.float64))
    with np.errstate(all='ignore'):
        out = np.where(a <= 0.0031308, a * 12.92, 1.055 * a ** (1 / 2.4) - 0.055)
    return np.copysign(out, v)


def power(v, gamma):
    with np.errstate(all='ignore'):
        return np.copysign(np.abs(v.astype(np.float64)) ** gamma, v)


def bt709_to_linear(v):
    a, alpha, beta = np.abs(v.astype(np.float64)), 1.099296826809442, 0.018053968510807
    with np.errstate(all='ignore'):
        out = np.where(a < 4.5 * beta, a / 4.5, ((a + alpha - 1) / alpha) ** (1 / 0.45))
    return np.copysign(out, v)


def pq_to_linear(v):
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    with np.errstate(all='ignore'):
        n = np.abs(v.astype(np.float64)) ** (1 / m2)
        below = c2 - c3 * n
        out = np.where(below > 0, (np.maximum(n - c1, 0) / below) ** (1 / m1), np.where(np.isnan(n), n, np.inf))
    return np.copysign(out, v)


def hlg_to_linear(v):
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    value = np.abs(v.astype(np.float64))
    with np.errstate(all='ignore'):
        out = np.where(value <= 0.5, value * value / 3, (np.exp((value - c) / a) + b) / 12)
    return np.copysign(out, v)


DECODE = {'srgb': srgb_to_linear, 'linear': lambda v: v, 'bt709': bt709_to_linear, 'pq': pq_to_linear, 'hlg': hlg_to_linear}
INTEROP = {'lin': ('linear', 0), 'srgb': ('srgb', 0), 'g18': ('gamma', 1.8), 'g22': ('gamma', 2.2), 'g24': ('gamma', 2.4)}
ORIENT = {2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1),
          6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, 1)}
FILTERS = {'nearest': None, 'box': Image.Resampling.BOX, 'linear': Image.Resampling.BILINEAR,
           'cubic': Image.Resampling.BICUBIC, 'lanczos3': Image.Resampling.LANCZOS}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resize_axis(a, out, name, axis):
    """One axis of a float32 plane, by Pillow."""
    size = a.shape[axis]
    if size == out:
        return a
    name = name or ('box' if out < size else 'linear')
    if name == 'nearest':
        return a.take([(2 * i + 1) * size // (2 * out) for i in range(out)], axis)
    image = Image.fromarray(np.ascontiguousarray(a), 'F')
    shape = (out, a.shape[0]) if axis == 1 else (a.shape[1], out)
    return np.asarray(image.resize(shape, FILTERS[name]), F32)


def rounded(value, num, den):
    return max(1, (2 * value * num + den) // (2 * den))


class Model:
    def __init__(self, picture, ops):
        self.picture = picture
        shown = sorted((c for c in picture.channels if c.shown >= 0), key=lambda c: c.shown)
        native = 'native' in ops or 'values' in ops
        self.made = any(c.origin == LUMA_CHROMA for c in shown) and not native
        self.shown = [self.carried(c, native) for c in shown]
        self.extra = []
        for op in ops:
            if op.startswith('ch='):
                for name in op[3:].split('+'):
                    self.carry(name, native)
        settle(self.shown)
        self.transfer = 'data' if picture.interop == 'data' else picture.transfer
        self.gamma = picture.gamma
        covered = any(s.role in ('A', 'v') for s in self.shown + self.extra)
        self.association = NONE if not covered else UNKNOWN if picture.alpha == NONE else picture.alpha
        self.alpha = self.association if self.find('A') else NONE
        self.covered = False  # a curve went over colour that is multiplied by alpha
        self.native = self.integers = self.integers_as_they_are = self.valued = self.moved = self.upright = self.resized = False
        self.valued = self.made
        self.chw = self.squeeze = self.flat = False
        self.type = self.filter = None
        self.palette = any(c.origin == PALETTE for c in shown)
        self.grid = None    # the sampling of a native view, once it was moved
        self.tolerance = 0  # units in the last place, once a curve was applied
        self.close = 0      # relative error, once resized
        self.vague = False  # something was divided by next to nothing
        for op in ops:
            if op == 'native':
                self.set_native()
            elif op == 'values':
                self.set_values()

    # -- channels --

    def carried(self, c, native):
        p = self.picture
        if c.origin == LUMA_CHROMA and native:  # what is stored in its place: Y, RY, BY
            plane = (c.plane, *c.chroma)[c.component]
            stored = p.channels[plane]
            return Shown(stored.name, '', channel_values(p, stored), plane, True, stored)
        return Shown(c.name, open_role(c.name, c.data), channel_values(p, c), c.plane if c.origin == PLANE else None, c.data, c)

    def carry(self, name, native):
        """A channel that ch= names and that isn't shown, and the alpha of its layer."""
        p, wanted = self.picture, (name, unquote(name))
        found = next((c for c in p.channels if c.name in wanted), None)
        if not found and not any(component_of(s.name) in wanted for s in self.shown):
            last = [c for c in p.channels if component_of(c.name) in wanted]
            found = last[0] if len(last) == 1 else None

        def add(c):
            if not any(s.channel is c for s in self.shown + self.extra):
                self.extra.append(self.carried(c, native))
                return True
        if found and add(found) and not native and not found.data:
            alpha = next((c for c in p.channels if not c.data and letter_of(c.name) == 'A' and layer_of(c.name) == layer_of(found.name)), None)
            if alpha:
                add(alpha)

    def alpha_of(self, s):
        if not s.is_colour():
            return None
        if s.role != 'c':
            return self.find('A')
        return next((o for o in self.shown + self.extra if o.role in ('A', 'v') and layer_of(o.name) == layer_of(s.name)), None)

    def only_data(self):
        return any(s.data for s in self.shown) and all(s.data or s.role in ('A', 'v') for s in self.shown)

    def has_colours(self):
        return self.transfer != 'data' and (not self.only_data() or any(s.is_colour() for s in self.extra))

    def find(self, role):
        return next((s for s in self.shown if s.role == role), None)

    def gray_channel(self):
        gray = self.find('L')
        rest = [s for s in self.shown if s.role != 'A']
        return gray or (rest[0] if len(rest) == 1 else None)

    def show(self, channels):
        self.shown, self.extra = channels, []
        self.alpha = self.association if self.find('A') else NONE

    def pick(self, role):
        found = self.find(role) or (self.gray_channel() if role != 'A' else self.find('packed'))
        if found:
            return Shown(role, 'packed' if found.role == 'packed' else role, found.values, found.plane, role != 'A' and found.data)
        if role != 'A':
            raise einval('no such colour')
        if self.native or self.integers:
            raise einval('no alpha is stored')
        return Shown('A', 'A', np.ones_like(self.shown[0].values, F32))

    def convert_inks(self):
        inks = [self.find(r) for r in 'CMYK']
        if not all(inks):
            return
        if self.native or self.integers or self.type:
            raise einval('inks')
        one = F32(1)
        k = inks[3].values
        with np.errstate(all='ignore'):
            rgb = [Shown(r, r, i.values * k if self.picture.adobe > 0 else (one - i.values) * (one - k))
                   for r, i in zip('RGB', inks)]
        alpha = self.find('A')
        self.show(rgb + ([alpha] if alpha else []))
        self.valued = True

    def select(self, letters):
        if letters != 'a':
            self.convert_inks()
        self.show([self.pick(c.upper()) for c in letters])

    def gray(self):
        self.convert_inks()
        one = self.gray_channel()
        if one:
            return self.show([Shown('Y', 'L', one.values, one.plane, one.data)])
        r, g, b = (self.pick(c).values for c in 'RGB')
        if self.native or self.type:
            raise einval('gray must be computed')
        with np.errstate(all='ignore'):
            self.show([Shown('Y', 'L', (F32(0.2126) * r + F32(0.7152) * g) + F32(0.0722) * b)])
        self.valued = True

    def named(self, name):
        for s in self.shown + self.extra:
            if s.name in (name, unquote(name)):
                return s
        for some in (self.shown, self.extra):
            last = [s for s in some if component_of(s.name) in (name, unquote(name))]
            if len(last) == 1:
                return last[0]
            if last and some is self.shown:
                raise einval('several channels')
        if name == 'A' or (name in ('R', 'G', 'B') and (self.find(name) or self.gray_channel())):
            return self.pick(name)
        raise einval('no such channel')

    def ch(self, names):
        if not all(names.split('+')):
            raise einval('empty name')
        chosen = [self.named(n) for n in names.split('+')]
        chosen = [s.like(s.values) for s in chosen]
        promote(chosen)
        self.show(chosen)

    # -- alpha, curves --

    def colours(self, f):
        self.shown = [s.like(f(s)) if s.role in tuple('RGBL') and not s.data else s for s in self.shown]
        self.valued = True

    def all_colours(self, f):
        """f of each colour, shown or carried along, and its alpha's values or None."""
        def one(s):
            alpha = self.alpha_of(s)
            return s.like(f(s, alpha.values if alpha else None)) if s.is_colour() else s
        new = [one(s) for s in self.shown + self.extra]
        self.shown, self.extra = new[:len(self.shown)], new[len(self.shown):]
        self.valued = True

    def set_alpha(self, mode):
        if (not self.find('A') and self.association == NONE) or self.association == mode:
            return

        def f(s, a):
            if a is None:
                return s.values
            if mode == PREMULTIPLIED:
                return s.values * a
            return np.where(a != 0, s.values / np.where(a != 0, a, F32(1)), s.values)
        with np.errstate(all='ignore'):
            self.all_colours(f)
        self.association = mode
        self.alpha = mode if self.find('A') else NONE

    def packed(self):
        for s in self.shown:
            s.role = 'packed' if s.role == 'A' else s.role
        self.alpha = self.association = NONE

    def range(self, text):
        number = r'-?(?:\d+\.?\d*|\.\d+)'
        if not re.fullmatch(f'{number}:{number}', text):
            raise einval('range')
        lo, hi = (F32(float(t)) for t in text.split(':'))
        if lo == hi:
            raise einval('range of nothing')
        with np.errstate(all='ignore'):
            self.shown = [s if s.role in ('A', 'v') else s.like((s.values - lo) / (hi - lo)) for s in self.shown]
            self.extra = [s if s.role == 'v' else s.like((s.values - lo) / (hi - lo)) for s in self.extra]
        self.valued, self.integers_as_they_are = True, False

    def opaque(self):
        rest = [s for s in self.shown if s.role not in ('A', 'packed')]
        if not rest:
            raise einval('only alpha')
        if len(rest) < len(self.shown):
            self.show(rest)

    def over(self, text):
        if not re.fullmatch(r'(-?(\d+\.?\d*|\.\d+):){2}-?(\d+\.?\d*|\.\d+)', text):
            raise einval('over')
        if any(len(re.sub(r'\D', '', t)) > 15 for t in text.split(':')):
            raise einval('too many digits')
        background = dict(zip('RGB', (F32(float(t)) for t in text.split(':'))))
        alpha, mode, gray = self.find('A'), self.alpha, self.find('L')
        if not alpha:
            return
        if gray and len(set(background.values())) > 1:
            self.show([Shown(c, c, gray.values, data=gray.data) for c in 'RGB'])
        else:
            self.opaque()
        a, one = alpha.values, F32(1)
        with np.errstate(all='ignore'):
            def f(s):
                k = background['R' if s.role == 'L' else s.role]
                return (s.values if mode == PREMULTIPLIED else s.values * a) + k * (one - a)
            self.colours(f)
        self.alpha = self.association = NONE

    def curve(self, target):
        if not self.has_colours():
            return
        if self.find('C') and self.find('K'):
            raise einval('inks have no curve')
        if self.transfer not in ('gamma', *DECODE):
            raise einval('unknown curve')
        if self.transfer == target:
            return
        decode = DECODE.get(self.transfer, lambda v: power(v, self.gamma))
        encode = linear_to_srgb if target == 'srgb' else lambda v: v

        def whole(v):
            return encode(decode(v)).astype(F32)

        def f(s, a):
            """Of colour multiplied by alpha: divided, through the curve, multiplied; where that can't be, as it is."""
            if a is None or self.association != PREMULTIPLIED:
                return whole(s.values)
            quotient = s.values / np.where(a == 0, F32(1), a)
            can = (a != 0) & np.isfinite(a) & np.isfinite(quotient)
            self.covered = True
            return whole(np.where(can, quotient, s.values)) * np.where(can, a, F32(1))
        with np.errstate(all='ignore'):
            self.all_colours(f)
        self.transfer = target
        self.tolerance += 1

    def assume(self, ident):
        if self.integers and ident != 'foo':
            return
        if ident in ('data', 'unknown'):
            self.transfer = ident
            return
        if re.fullmatch(r'[a-z]+:[a-z]+', ident):
            self.transfer = 'unknown'
            return
        curve, _, rest = ident.partition('_')
        if ident in ('pq_rec2020_display', 'hlg_rec2020_display'):
            self.transfer = curve
            return
        if curve not in INTEROP or not re.fullmatch(r'(rec709|p3d65|ap1|adobergb)_(scene|display)', rest):
            raise einval('no interop id')
        self.transfer, self.gamma = INTEROP[curve]
        if rest.startswith('adobergb') and curve == 'g22':
            self.gamma = 563 / 256

    def norm(self, which):
        if which != 'imagenet' or sorted(s.role for s in self.shown) != ['B', 'G', 'R']:
            raise einval('norm')
        self.extra = []
        with np.errstate(all='ignore'):
            self.shown = [s.like((s.values - F32(MEAN['RGB'.index(s.role)])) / F32(STD['RGB'.index(s.role)])) for s in self.shown]
        self.valued = True

    # -- geometry --

    def geometry(self, f):
        self.check_grid()
        self.grid = self.sampling(self.shown[0]) if self.native else None
        self.shown = [s.like(f(s.values)) for s in self.shown]
        self.extra = [s.like(f(s.values)) if s.values.shape == self.extra_shape else s for s in self.extra]
        self.moved = True

    def check_grid(self):
        self.extra_shape = self.shown[0].values.shape
        if self.native and len({s.values.shape for s in self.shown}) > 1:
            raise einval('different grids')
        grids = {self.sampling(s) for s in self.shown} | ({self.grid} if self.grid else set()) if self.native else ()
        if len(grids) > 1:
            raise einval('different grids')

    def size(self):
        return self.shown[0].values.shape[1], self.shown[0].values.shape[0]

    def crop(self, text):
        m = re.fullmatch(r'(-?\d+):(-?\d+):(\d+):(\d+)', text)
        if not m:
            raise einval('crop')
        self.check_grid()
        x, y, w, h = (int(v) for v in m.groups())
        W, H = self.size()
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, W), min(y + h, H)
        if x0 >= x1 or y0 >= y1:
            raise einval('nothing left')
        self.geometry(lambda a: a[y0:y1, x0:x1])

    def display(self):
        p = self.picture
        if self.moved:
            raise einval('display too late')
        self.check_grid()
        if p.data != p.display:
            x0, y0, x1, y1 = p.display
            w, h = x1 - x0 + 1, y1 - y0 + 1
            if self.native and (p.planes[self.shown[0].plane].xs, p.planes[self.shown[0].plane].ys) != (1, 1):
                raise einval('not on the grid')
            if w < 1 or h < 1:
                raise einval('empty')
            if w * h > MOST_PIXELS:
                raise ViewError(errno.EFBIG, 'display')

            def f(a):
                out = np.zeros((h, w), a.dtype)
                dx, dy = p.data[0] - x0, p.data[1] - y0
                ax, ay = max(0, -dx), max(0, -dy)
                part = a[ay:max(ay, min(a.shape[0], h - dy)), ax:max(ax, min(a.shape[1], w - dx))]
                if part.size:
                    out[dy + ay:dy + ay + part.shape[0], dx + ax:dx + ax + part.shape[1]] = part
                return out
            self.geometry(f)
        elif self.native:
            self.grid = self.sampling(self.shown[0])
        self.moved = True

    def square(self):
        self.check_grid()
        W, H = self.size()
        side = min(W, H)
        x, y = (W - side) // 2, (H - side) // 2
        self.geometry(lambda a: a[y:y + side, x:x + side])

    def resize(self, w, h):
        if not w or not h:
            raise einval('size 0')
        if self.resized:
            raise einval('two sizes')
        if w > MOST_PIXELS or h > MOST_PIXELS or w * h > MOST_PIXELS:
            raise ViewError(errno.EFBIG, 'size')
        self.resized = True
        alpha = self.find('A')
        weighs = alpha and self.alpha == STRAIGHT and self.filter != 'nearest' and (w, h) != self.size()
        if weighs:
            self.weigh(lambda v, a: v * a)
        with np.errstate(all='ignore'):
            self.geometry(lambda a: resize_axis(resize_axis(a, w, self.filter, 1), h, self.filter, 0))
        if weighs:
            self.weigh(lambda v, a: np.where(a != 0, v / np.where(a != 0, a, F32(1)), v))
            a = self.find('A').values
            self.vague |= bool(np.any((np.abs(a) < 0.02) & (a != 0)))
        if self.filter != 'nearest' or not self.native:
            self.valued = True
        self.close = 0 if self.filter == 'nearest' else 1e-6

    def weigh(self, f):
        with np.errstate(all='ignore'):
            self.all_colours(lambda s, a: s.values if a is None else f(s.values, a))

    def size_op(self, name, text):
        W, H = self.size()
        if name in ('long', 'short'):
            if not re.fullmatch(r'\d+', text):
                raise einval('number')
            n = int(text)
            if not n:
                raise einval('size 0')
            if (W >= H) == (name == 'long'):
                return self.resize(n, rounded(n, H, W))
            return self.resize(rounded(n, W, H), n)
        m = re.fullmatch(r'(\d+)x(\d+)', text)
        if not m:
            raise einval('size')
        a, b = int(m[1]), int(m[2])
        if not a or not b:
            raise einval('size 0')
        if name == 'size':
            return self.resize(a, b)
        return self.resize(a, rounded(a, H, W)) if a * H <= b * W else self.resize(rounded(b, W, H), b)

    # -- native, values, type --

    def stored(self, samples_of):
        """Both hold for the whole spec: they come before all operations."""
        keep = [s for s in self.shown if s.plane is not None]
        if self.palette:
            keep, self.extra = [Shown('index', '', None, 0)], []
        if not keep:
            raise einval('nothing stored')
        self.shown = [s.like(samples_of(s)) for s in keep]
        self.extra = [s.like(samples_of(s)) for s in self.extra if s.plane is not None]
        if not self.find('A'):
            self.alpha = NONE

    def set_native(self):
        if self.integers:
            raise einval('native and values')
        self.native = True
        self.stored(lambda s: self.picture.planes[s.plane].samples)

    def set_values(self):
        if self.native:
            raise einval('native and values')
        p = self.picture

        def integers(s):
            plane = p.planes[s.plane]
            values = plane_values(Plane(plane.samples, 0))
            return values.repeat(plane.ys, 0).repeat(plane.xs, 1)[:p.height, :p.width]
        self.stored(integers)
        self.integers = self.integers_as_they_are = True
        self.transfer = 'data'
        self.packed()

    def sampling(self, shown):
        return self.picture.planes[shown.plane].xs, self.picture.planes[shown.plane].ys

    def set_type(self, name):
        if self.native:
            raise einval('native has its type')
        if self.type and self.type != name:
            raise einval('two types')
        self.type = name

    def apply(self, text):
        if not text:
            raise einval('empty')
        name, equals, argument = text.partition('=')
        plain = {
            'pixels': lambda: None, 'native': lambda: None, 'values': lambda: None, 'packed': self.packed, 'linear': lambda: self.curve('linear'),
            'srgb': lambda: self.curve('srgb'), 'premul': lambda: self.set_alpha(PREMULTIPLIED),
            'straight': lambda: self.set_alpha(STRAIGHT), 'opaque': self.opaque, 'gray': self.gray,
            'chw': lambda: setattr(self, 'chw', True), 'squeeze': lambda: setattr(self, 'squeeze', True),
            'upright': self.set_upright, 'bottomup': lambda: self.geometry(lambda a: a[::-1]),
            'mirror': lambda: self.geometry(lambda a: a[:, ::-1]), 'blender': self.blender, 'display': self.display,
            'square': self.square}
        plain.update({n: (lambda n=n: self.select(n)) for n in ('r', 'g', 'b', 'a', 'rgb', 'rgba', 'bgr', 'bgra')})
        plain.update({n: (lambda n=n: self.set_type(n)) for n in ('f32', 'f16', 'u8', 'u16')})
        valued = {'assume': self.assume, 'over': self.over, 'ch': self.ch, 'rot': self.rot, 'crop': self.crop,
                  'filter': lambda a: None, 'norm': self.norm, 'range': self.range}
        valued.update({n: (lambda a, n=n: self.size_op(n, a)) for n in ('size', 'fit', 'long', 'short')})
        if name not in plain and name not in valued:
            raise ViewError(errno.ENOENT, 'unknown operation')
        if (name in valued) != bool(equals) or (name in valued and not argument):
            raise einval('argument')
        changes = ('linear', 'srgb', 'assume', 'premul', 'straight', 'over', 'norm', 'range')
        changes += () if self.filter == 'nearest' else ('size', 'fit', 'long', 'short')
        if (self.native or self.type) and name in changes:
            raise einval('changes values')
        if name == 'filter':
            self.filters_seen = getattr(self, 'filters_seen', 0) + 1
            if argument not in FILTERS or self.filters_seen > 1:
                raise einval('filter')
        return valued[name](argument) if name in valued else plain[name]()

    def rot(self, text):
        if not re.fullmatch(r'\d+', text) or int(text) not in (0, 90, 180, 270):
            raise einval('rot')
        if int(text):
            self.geometry(lambda a: np.rot90(a, int(text) // 90))

    def set_upright(self):
        if not self.upright:
            self.upright = True
            self.geometry(ORIENT.get(self.picture.orientation, lambda a: a))

    def blender(self):
        self.select('rgba')
        self.flat = True
        self.geometry(lambda a: a[::-1])

    # -- the end --

    def suit_png(self):
        """Channels that a PNG can hold; straight alpha and sRGB, where they are known."""
        if self.chw:
            raise einval('no planar PNG')
        last_is_alpha = self.shown[-1].role == 'A'
        n = len(self.shown)
        if not (n == 1 or (n == 3 and not last_is_alpha) or (n in (2, 4) and last_is_alpha)):
            if self.find('L') and self.find('A'):
                self.show([self.find('L'), self.find('A')])
            elif self.find('L'):
                self.gray()
            else:
                self.select('rgba' if self.find('A') else 'rgb')
        if self.type or self.native:
            return
        self.set_alpha(STRAIGHT)
        if self.transfer in ('linear', 'gamma', 'bt709') and not self.only_data() and not (self.find('C') and self.find('K')):
            self.curve('srgb')

    def finish(self, extension):
        if self.flat and self.chw:
            raise einval('flat and chw')
        if extension == 'png':
            self.suit_png()
            extension = 'u8'
        if getattr(self, 'filters_seen', 0) and not self.resized:
            raise einval('filter without size')
        self.check_grid()
        if self.native and len({s.values.dtype for s in self.shown}) > 1:
            raise einval('mixed types')
        kind = self.type or (extension if extension in ('f32', 'f16', 'u8', 'u16') else 'f32')
        values = np.stack([s.values for s in self.shown], -1)
        if self.native:
            kind = {np.dtype('u1'): 'u8', np.dtype('u2'): 'u16', np.dtype('u4'): 'u32', np.dtype('f2'): 'f16',
                    np.dtype('f4'): 'f32'}[values.dtype]
        if extension in ('f32', 'f16', 'u8', 'u16') and kind != extension:
            raise einval('extension contradicts')
        if not self.native:
            values = convert(values, kind, F32(1) if self.integers_as_they_are else None)
        if self.chw:
            values = values.transpose(2, 0, 1)
        if self.flat:
            values = values.reshape(-1)
        if self.squeeze:
            values = values.squeeze()
        return values.reshape(1) if values.ndim == 0 else values


def convert(a, kind, scale=None):
    if kind == 'f32':
        return a
    with np.errstate(all='ignore'):
        if kind == 'f16':
            return a.astype(np.float16)
        most = 255 if kind == 'u8' else 65535
        scaled = np.rint(np.clip(a * (scale or F32(most)), 0, most))
        return np.where(np.isnan(a), 0, scaled).astype(np.uint8 if kind == 'u8' else np.uint16)


def evaluate(picture, spec):
    """The model after the spec, and its array; the extension npy stands for any type."""
    ops, dot, extension = spec.rpartition('.')
    if not dot or extension not in ('f32', 'f16', 'u8', 'u16', 'npy', 'tif', 'png', 'json'):
        raise ViewError(errno.ENOENT, 'unknown extension')
    if len(spec.encode()) > 255:
        raise einval('too long')
    ops = ops.split(',')
    model = Model(picture, ops)
    for op in ops:
        if op.startswith('filter=') and op[7:] in FILTERS:
            model.filter = op[7:]
    for op in ops:
        model.apply(op)
    return model, model.finish(extension)
