package scan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync"
)

// A holder holds what has to be read at random places out of a layer, one file
// at a time, in memory that is used again.
type holder struct {
	sync.Mutex
	buf   []byte
	whole int64 // instead of wholeProgram, for tests
}

// wholeProgram is how large a program may be to be held as a whole. Of a larger
// one in ELF, which is what layers have, only those parts are held in which
// the lists are that readProgram looks for, and the tables that lead there:
// not the code and the constants, which are most of it.
const wholeProgram = 16 << 20

// A held is the parts of a file that a holder has.
type held struct {
	parts  []heldPart
	size   int64
	missed bool // something was asked for that is not there
}

type heldPart struct {
	off  int64
	data []byte
}

var errNotHeld = errors.New("in a part of the program that is not kept in memory")

func (h *held) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= h.size {
		return 0, io.EOF
	}
	for _, x := range h.parts {
		if off < x.off || off >= x.off+int64(len(x.data)) {
			continue
		}
		n := copy(p, x.data[off-x.off:])
		if n == len(p) {
			return n, nil
		}
		if off+int64(n) == h.size {
			return n, io.EOF
		}
		m, err := h.ReadAt(p[n:], off+int64(n)) // the part after
		return n + m, err
	}
	h.missed = true
	return 0, errNotHeld
}

// hold reads a file whose first bytes are head. For a program, only what
// matters is kept; with sum, all of it is hashed.
func (h *holder) hold(head []byte, r io.Reader, size int64, program, sum bool) (*held, string, error) {
	var digest io.Writer = io.Discard
	hash := sha256.New()
	if sum {
		digest = hash
	}
	h.buf = h.buf[:0]
	in := io.TeeReader(io.MultiReader(bytes.NewReader(head), r), digest)
	if err := h.more(in, min(size, 64<<10), size); err != nil {
		return nil, "", err
	}
	at := int64(len(h.buf))
	keep := [][2]int64{{at, size}}
	if program && size > cmp.Or(h.whole, wholeProgram) {
		if ranges := programRanges(h.buf, size); ranges != nil {
			keep = ranges
		}
	}
	type place struct{ off, start, end int64 }
	places := []place{{0, 0, at}}
	for _, k := range keep {
		k[0] = max(k[0], at)
		if k[0] >= k[1] {
			continue
		}
		if _, err := io.CopyN(io.Discard, in, k[0]-at); err != nil {
			return nil, "", err
		}
		start := int64(len(h.buf))
		if err := h.more(in, k[1]-k[0], size); err != nil {
			return nil, "", err
		}
		places = append(places, place{k[0], start, int64(len(h.buf))})
		at = k[1]
	}
	if _, err := io.CopyN(io.Discard, in, size-at); err != nil {
		return nil, "", err
	}
	f := &held{size: size}
	for _, p := range places { // the buffer moves as it grows
		if p.end > p.start {
			f.parts = append(f.parts, heldPart{p.off, h.buf[p.start:p.end]})
		}
	}
	if !sum {
		return f, "", nil
	}
	return f, hex.EncodeToString(hash.Sum(nil)), nil
}

// more reads n bytes to the end of the buffer. It grows with what is read: the
// header may promise more than there is.
func (h *holder) more(r io.Reader, n, most int64) error {
	for n > 0 {
		if len(h.buf) == cap(h.buf) {
			next := min(max(int64(2*cap(h.buf)), 1<<20), max(most, int64(cap(h.buf))+n))
			h.buf = append(make([]byte, 0, next), h.buf...)
		}
		k := min(n, int64(cap(h.buf)-len(h.buf)))
		m, err := io.ReadFull(r, h.buf[len(h.buf):len(h.buf)+int(k)])
		h.buf = h.buf[:len(h.buf)+m]
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		n -= k
	}
	return nil
}

// programRanges returns where in an ELF program, whose beginning is head, its
// variables are and what is not loaded at all: Go keeps its list among the
// former, "cargo auditable" among the latter, where also the section headers
// are. nil means that head does not say.
func programRanges(head []byte, size int64) [][2]int64 {
	if len(head) < 64 || string(head[:4]) != "\x7fELF" {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == byte(elf.ELFDATA2MSB) {
		order = binary.BigEndian
	}
	var off, entry, count uint64
	wide := head[4] == byte(elf.ELFCLASS64)
	if wide {
		off, entry, count = order.Uint64(head[32:]), uint64(order.Uint16(head[54:])), uint64(order.Uint16(head[56:]))
	} else {
		off, entry, count = uint64(order.Uint32(head[28:])), uint64(order.Uint16(head[42:])), uint64(order.Uint16(head[44:]))
	}
	if entry < 32 || wide && entry < 56 || off > uint64(len(head)) || count == 0 || off+entry*count > uint64(len(head)) {
		return nil
	}
	var ranges [][2]int64
	var end int64
	for i := range count {
		p := head[off+i*entry:]
		var flags uint32
		var at, n uint64
		if wide {
			flags, at, n = order.Uint32(p[4:]), order.Uint64(p[8:]), order.Uint64(p[32:])
		} else {
			flags, at, n = order.Uint32(p[24:]), uint64(order.Uint32(p[4:])), uint64(order.Uint32(p[16:]))
		}
		if order.Uint32(p) != uint32(elf.PT_LOAD) {
			continue
		}
		if at > uint64(size) || n > uint64(size)-at {
			return nil
		}
		end = max(end, int64(at+n))
		if flags&uint32(elf.PF_W) != 0 {
			ranges = append(ranges, [2]int64{int64(at), int64(at + n)})
		}
	}
	ranges = append(ranges, [2]int64{end, size})
	slices.SortFunc(ranges, func(a, b [2]int64) int { return int(min(max(a[0]-b[0], -1), 1)) })
	return ranges
}
