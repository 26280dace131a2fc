package archive

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/hallmark-build/hallmark/internal/limits"
)

func (u *unpacker) zip(f *os.File, size int64) error {
	c := &checkedFile{f: f, size: size, last: -1, budget: limits.ArchiveDirectory}
	var err error
	if u.pkg.Sum, err = c.readAll(u); err != nil {
		return err
	}
	z, err := zip.NewReader(c, size)
	if err != nil {
		return malformed("", "bad zip", err)
	}
	c.budget = -1
	if len(z.File) > limits.ArchiveEntries {
		return &Error{Reason: ReasonLimit, Msg: fmt.Sprintf("more than %d entries", limits.ArchiveEntries)}
	}
	if len(z.File) == 0 {
		return &Error{Reason: ReasonFormat, Msg: "a zip without entries"}
	}
	inOrder, err := u.zipLayout(c, z.File)
	if err != nil {
		return err
	}
	t := u.newNames(false)
	for _, zf := range inOrder {
		if err := u.zipEntry(zf, t); err != nil {
			return err
		}
	}
	if len(u.files) == 0 {
		return &Error{Reason: ReasonFormat, Msg: "a zip without files"}
	}
	return nil
}

func (u *unpacker) zipEntry(zf *zip.File, t *names) error {
	u.packed += int64(zf.CompressedSize64)
	mode := zf.Mode()
	switch {
	case zf.Flags&1 != 0:
		return &Error{Reason: ReasonFormat, Name: zf.Name, Msg: "encrypted"}
	case mode.IsDir() && len(zf.Name) > 0 && zf.Name[len(zf.Name)-1] == '/':
		if zf.UncompressedSize64 != 0 {
			return &Error{Reason: ReasonFormat, Name: zf.Name, Msg: "a directory with content"}
		}
		_, err := t.add(zf.Name, isDir)
		return err
	case !mode.IsRegular() && mode.Type() != fs.ModeSymlink:
		return &Error{Reason: ReasonSpecial, Name: zf.Name, Msg: "neither file, directory nor symbolic link"}
	}
	r, err := zf.Open()
	if err != nil {
		return malformed(zf.Name, "bad zip", err)
	}
	defer r.Close()
	if mode.IsRegular() {
		name, err := t.add(zf.Name, isFile)
		if err != nil {
			return err
		}
		if err := u.addFile(name, r); err != nil {
			return malformed(zf.Name, "bad zip", err)
		}
		return nil
	}
	name, err := t.add(zf.Name, isLink)
	if err != nil {
		return err
	}
	target, err := io.ReadAll(io.LimitReader(r, limits.TreePath+1))
	if err != nil {
		return malformed(zf.Name, "bad zip", err)
	}
	return u.addLink(name, string(target))
}

// The sizes and signatures of zip's headers (APPNOTE.TXT, 4.3).
const (
	localHeader      = 30
	localSignature   = "PK\x03\x04"
	centralSignature = "PK\x01\x02"
	// unicodePath is an extra field with another name for the entry, which
	// some programs take (4.6.9).
	unicodePath = 0x7075
)

// zipLayout checks that the entries stand one after the other from the start
// of the file to the table of contents, and that their local headers say what
// the table says: then a program that reads the file front to back sees the
// same as one that begins with the table. It returns them in their order in the
// file, in which they are cheap to read.
func (u *unpacker) zipLayout(r io.ReaderAt, list []*zip.File) ([]*zip.File, error) {
	type entry struct {
		*zip.File
		data int64
	}
	files := make([]entry, len(list))
	for i, zf := range list {
		if err := u.ctx.Err(); err != nil {
			return nil, err
		}
		at, err := zf.DataOffset()
		if err != nil {
			return nil, malformed(zf.Name, "bad zip", err)
		}
		files[i] = entry{zf, at}
	}
	slices.SortStableFunc(files, func(a, b entry) int { return cmp.Compare(a.data, b.data) })
	starts := []int64{0} // where the next header may be
	inOrder := make([]*zip.File, 0, len(files))
	for _, e := range files {
		start, extra, ok := findLocal(r, e.File, e.data, starts)
		if !ok {
			return nil, &Error{Reason: ReasonFormat, Name: e.Name, Msg: "entry overlaps another, comes after a gap, or has a local header that differs from the table of contents"}
		}
		if hasExtra(e.Extra, unicodePath) || hasExtra(extra, unicodePath) {
			return nil, &Error{Reason: ReasonName, Name: e.Name, Msg: "entry has a second name in an extra field"}
		}
		inOrder = append(inOrder, e.File)
		end := e.data + int64(e.CompressedSize64)
		if int64(e.CompressedSize64) < 0 || end < start {
			return nil, &Error{Reason: ReasonFormat, Name: e.Name, Msg: "absurd size"}
		}
		starts = []int64{end}
		if e.Flags&8 != 0 {
			// A data descriptor, with or without signature, of 32 or 64 bits.
			starts = []int64{end + 16, end + 12, end + 24, end + 20}
		}
	}
	for _, at := range starts {
		b := make([]byte, 4)
		if _, err := r.ReadAt(b, at); err == nil && string(b) == centralSignature {
			return inOrder, nil
		}
	}
	return nil, &Error{Reason: ReasonFormat, Msg: "something stands between the entries of the zip and its table of contents"}
}

// findLocal returns at which of starts the local header of an entry is, whose
// content begins at data, and its extra fields.
func findLocal(r io.ReaderAt, zf *zip.File, data int64, starts []int64) (int64, []byte, bool) {
	for _, start := range starts {
		rest := data - start - localHeader
		if rest < int64(len(zf.Name)) || rest > int64(len(zf.Name))+1<<16 {
			continue
		}
		b := make([]byte, localHeader+rest)
		if _, err := r.ReadAt(b, start); err != nil || string(b[:4]) != localSignature {
			continue
		}
		flags, method := binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint16(b[8:])
		crc, packed, size := binary.LittleEndian.Uint32(b[14:]), binary.LittleEndian.Uint32(b[18:]), binary.LittleEndian.Uint32(b[22:])
		n, m := int64(binary.LittleEndian.Uint16(b[26:])), int64(binary.LittleEndian.Uint16(b[28:]))
		if n+m != rest || string(b[localHeader:localHeader+n]) != zf.Name || flags != zf.Flags || method != zf.Method {
			continue
		}
		const big = 1<<32 - 1 // the size is in an extra field (4.5.3)
		if flags&8 == 0 && (crc != zf.CRC32 ||
			packed != big && uint64(packed) != zf.CompressedSize64 || size != big && uint64(size) != zf.UncompressedSize64) {
			continue
		}
		return start, b[localHeader+n:], true
	}
	return 0, nil, false
}

func hasExtra(extra []byte, id uint16) bool {
	for len(extra) >= 4 {
		if binary.LittleEndian.Uint16(extra) == id {
			return true
		}
		n := 4 + int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra) {
			break
		}
		extra = extra[n:]
	}
	return false
}

// checkedFile is a file at random access, every block of which is as it was
// when the whole was hashed.
type checkedFile struct {
	f      *os.File
	size   int64
	blocks [][sha256.Size]byte
	budget int64 // bytes that may still be read; negative: any

	last int64 // the block in buf, or -1
	buf  []byte
}

// blockSize is small because a table of contents in a hostile order makes every
// entry cost a block.
const blockSize = 16 << 10

// readAll hashes the file and its blocks.
func (c *checkedFile) readAll(u *unpacker) (*Sum, error) {
	h256, h512 := sha256.New(), sha512.New()
	c.buf = make([]byte, blockSize)
	for at := int64(0); at < c.size; at += blockSize {
		if err := u.ctx.Err(); err != nil {
			return nil, err
		}
		b := c.buf[:min(blockSize, c.size-at)]
		if _, err := c.f.ReadAt(b, at); err != nil {
			if err == io.EOF {
				err = errChanged
			}
			return nil, err
		}
		h256.Write(b)
		h512.Write(b)
		c.blocks = append(c.blocks, sha256.Sum256(b))
	}
	s := new(Sum)
	h256.Sum(s.SHA256[:0])
	h512.Sum(s.SHA512[:0])
	return s, nil
}

var errChanged = &Error{Reason: ReasonChanged, Msg: "the file changed while it was read"}

// ReadAt implements io.ReaderAt. It is not safe for concurrent use.
func (c *checkedFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > c.size {
		return 0, io.EOF
	}
	if c.budget >= 0 {
		if c.budget -= int64(len(p)); c.budget < 0 {
			c.budget = 0
			return 0, &Error{Reason: ReasonLimit, Msg: fmt.Sprintf("the zip's table of contents is larger than %d bytes", limits.ArchiveDirectory)}
		}
	}
	n := 0
	for n < len(p) && off < c.size {
		i := off / blockSize
		if c.last != i {
			c.last = -1
			b := c.buf[:min(blockSize, c.size-i*blockSize)]
			if _, err := c.f.ReadAt(b, i*blockSize); err != nil && err != io.EOF {
				return n, err
			}
			if sum := sha256.Sum256(b); !bytes.Equal(sum[:], c.blocks[i][:]) {
				return n, errChanged
			}
			c.last = i
		}
		m := copy(p[n:], c.buf[off-i*blockSize:min(blockSize, c.size-i*blockSize)])
		n += m
		off += int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
