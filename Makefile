# pixfs: images as raw arrays. Targets: all demo test bench install lint check-long fuzz clean
# MODE=release|debug|asan|tsan, CC=gcc|clang, V=1 shows commands; objects lie in build/$(MODE)/, the release binary is build/pixfs too.
MODE ?= release
Q := $(if $(V),,@)
PREFIX ?= /usr/local
BUILD := build/$(MODE)
VERSION := 0.1.0

FLAGS_release := -O2 -g
FLAGS_debug := -O0 -g3
FLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wvla
WARNINGS_C := -Wmissing-prototypes -Wstrict-prototypes
# ISA-L inflates PNGs two to three times as fast as zlib, which does it where there is none (`make ISAL=`: as if there were none).
PKG_CONFIG ?= pkg-config
ifeq ($(origin ISAL),undefined)
ISAL := $(shell $(PKG_CONFIG) --exists libisal 2>/dev/null && echo libisal)
endif
PACKAGES := fuse3 libpng OpenEXR libjpeg liblzma libzstd libdeflate zlib libexif lcms2 uchardet $(ISAL)

ifneq ($(filter-out demo test bench check-long fuzz lint clean,$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -lbz2
endif
# -ffp-contract=off: a fused multiply-add would change the last bit of what numpy gives.
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 -DPIXFS_VERSION='"$(VERSION)"' $(if $(ISAL),-DPIXFS_ISAL)
COMMON = $(FLAGS_$(MODE)) $(WARNINGS) $(WERROR) -pthread -fno-strict-aliasing -ffp-contract=off $(PKG_CFLAGS) -MMD -MP
ALL_CFLAGS = -std=gnu17 $(COMMON) $(WARNINGS_C) $(CFLAGS)
ALL_CXXFLAGS = -std=c++17 $(COMMON) $(CXXFLAGS)

CODEC_OBJECTS := $(patsubst %,$(BUILD)/%.o,$(basename $(wildcard codecs/*/*.c codecs/*/*.cpp)))
FS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard fs/*/*.c fs/*/*/*.c))
OBJECTS := $(CODEC_OBJECTS) $(FS_OBJECTS)
UNITS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*_test.c))
HELPERS := $(BUILD)/tests/unit/view_dump $(BUILD)/tests/unit/fault_run
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

all: $(BUILD)/pixfs
ifeq ($(MODE),release)
all: build/pixfs
endif

build/pixfs: $(BUILD)/pixfs
	@ln -sf release/pixfs $@
$(BUILD)/pixfs: $(OBJECTS)
	@echo "  LINK $@"
	$(Q)$(CXX) $(FLAGS_$(MODE)) -pthread -o $@ $^ $(PKG_LIBS) $(LDFLAGS)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<
$(BUILD)/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  CXX  $<"
	$(Q)$(CXX) $(CPPFLAGS) $(ALL_CXXFLAGS) -c -o $@ $<
$(UNITS) $(HELPERS) $(BENCHES): %: %.o $(filter-out $(BUILD)/fs/mount/main.o,$(OBJECTS))
	@echo "  LINK $@"
	$(Q)$(CXX) $(FLAGS_$(MODE)) -pthread -o $@ $^ $(PKG_LIBS) $(LDFLAGS)
# libzip is the peer that archives are compared with
$(BUILD)/tests/unit/libzip_test: LDFLAGS += -lzip
$(BUILD)/tests/unit/fault_run: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
units: $(UNITS) $(HELPERS)
benches: all $(BENCHES)
# what a program of these objects is linked with
libraries:
	@echo $(PKG_LIBS) $(LDFLAGS)
.PRECIOUS: $(BUILD)/%.o

# ---- for people ----
demo:
	scripts/demo
test:
	scripts/install-deps test
	scripts/check plain
check-long:
	scripts/install-deps examples
	scripts/check-long
lint:
	scripts/lint
# against today's decoders, side by side; scripts/bench takes rows and options
bench:
	scripts/install-deps bench
	scripts/bench
# FUZZ_SECONDS each, one target after the other, under ASan and UBSan; finds are left in build/fuzz/
FUZZ_SECONDS ?= 60
fuzz:
	scripts/install-deps test
	scripts/fuzz $(FUZZ_SECONDS)
install: all
	install -D -m 755 $(BUILD)/pixfs $(DESTDIR)$(PREFIX)/bin/pixfs
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/pixfs

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
.PHONY: all units benches libraries clean demo test bench check-long lint fuzz install uninstall
