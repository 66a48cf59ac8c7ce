/* exr_imf.cpp - one chunk decoded by the OpenEXR C++ library: PIZ, DWAA, DWAB, and B44 with pLinear. The only file in C++, and
 * the only one that includes the library (exr.c: its version number).
 *
 * The library is given a file of one chunk that exr_wrap.c made, in memory: each call is on its own, so there is no state
 * to share or to bound, and its memory is that of one chunk.
 *
 * Why not its C API, OpenEXRCore? In 3.1 that does not decode DWAA and DWAB at all; it takes B44 chunks that are stored as
 * they are for compressed ones; it miscounts the lines of a chunk where the sampling does not divide its height; and it is
 * slower in all that is left (4096 x 2304 half RGB, ms: PIZ 320 against 206, in tiles of 64 x 64 1011 against 376, B44 79
 * against 56). Opening one chunk costs some ten microseconds. */
#include "exr_imf.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>

#include <ImfFrameBuffer.h>
#include <ImfHuf.h>
#include <ImfIO.h>
#include <ImfInputFile.h>
#include <ImfTiledInputFile.h>
#include <Iex.h>

namespace
{

class MemoryStream : public Imf::IStream
{
      public:
	MemoryStream(const void *data, std::size_t len_bytes)
	    : Imf::IStream("chunk"), data_(static_cast<const char *>(data)), len_bytes_(len_bytes), at_(0)
	{
	}
	bool read(char dst[], int n) override
	{
		if (n < 0 || at_ > len_bytes_ || static_cast<std::size_t>(n) > len_bytes_ - at_)
			throw Iex::InputExc("the chunk's data end early");
		std::memcpy(dst, data_ + at_, static_cast<std::size_t>(n));
		at_ += static_cast<std::size_t>(n);
		return at_ < len_bytes_;
	}
	std::uint64_t tellg() override
	{
		return at_;
	}
	void seekg(std::uint64_t position) override
	{
		at_ = position;
	}

      private:
	const char *data_;
	std::uint64_t len_bytes_, at_;
};

Imf::FrameBuffer make_frame(const exr_imf_slice *slices, std::size_t nslices)
{
	Imf::FrameBuffer frame;
	for (std::size_t i = 0; i < nslices; i++) {
		const exr_imf_slice &s = slices[i];
		frame.insert(s.name, Imf::Slice(static_cast<Imf::PixelType>(s.type), s.base, s.xstride, s.ystride, s.xsampling,
						s.ysampling));
	}
	return frame;
}

void decode(const void *file, std::size_t len_bytes, int tiled, int first, int last, const Imf::FrameBuffer &frame)
{
	MemoryStream stream(file, len_bytes);
	if (tiled) {
		Imf::TiledInputFile input(stream, 0);
		input.setFrameBuffer(frame);
		input.readTile(0, 0, 0, 0);
	} else {
		Imf::InputFile input(stream, 0);
		input.setFrameBuffer(frame);
		input.readPixels(first, last);
	}
}

/* The library's words without its own "Error reading pixel data from image file "chunk". ". */
const char *own_words(const char *words)
{
	const char *name = std::strstr(words, "\"chunk\". ");
	return name ? name + 9 : words;
}

/* The exception under way as an error. */
int rethrow(struct err *err)
{
	try {
		throw;
	} catch (const std::bad_alloc &) {
		return err_set(err, -ENOMEM, "no memory for a chunk");
	} catch (const std::exception &e) {
		if (std::strstr(e.what(), std::bad_alloc().what())) /* the library passes on the words of its own catch alone */
			return err_set(err, -ENOMEM, "no memory for a chunk");
		return err_set(err, -EIO, "%s", own_words(e.what()));
	} catch (...) {
		return err_set(err, -EIO, "the chunk's data are damaged");
	}
}

} // namespace

extern "C" int exr_imf_decode(const void *file, size_t len_bytes, int tiled, int first, int last,
			      const struct exr_imf_slice *slices, size_t nslices, struct err *err)
{
	try {
		decode(file, len_bytes, tiled, first, last, make_frame(slices, nslices));
		return 0;
	} catch (...) {
		return rethrow(err);
	}
}

extern "C" int exr_imf_unhuffman(const void *packed, size_t packed_bytes, unsigned short *values, size_t count, struct err *err)
{
	try {
		Imf::hufUncompress(static_cast<const char *>(packed), static_cast<int>(packed_bytes), values,
				   static_cast<int>(count));
		return 0;
	} catch (...) {
		return rethrow(err);
	}
}
