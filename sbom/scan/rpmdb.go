package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// Each of the three readers calls f with the header of each package, which is
// valid until f returns. They read what the one table with the packages is made
// of and no indexes. No page is read twice, so no file makes them read more
// than it has.

// pages counts the pages of a file that were read.
type pages struct {
	at   io.ReaderAt
	size int64 // of a page
	n    int64 // how many there are
	seen []uint64
}

func newPages(at io.ReaderAt, size, page int64) *pages {
	n := size / page
	return &pages{at, page, n, make([]uint64, n/64+1)}
}

// read reads page n, counted from zero, into buf.
func (p *pages) read(n int64, buf []byte) error {
	if n < 0 || n >= p.n {
		return fmt.Errorf("page %d of %d", n, p.n)
	}
	if p.seen[n/64]&(1<<(n%64)) != 0 {
		return fmt.Errorf("page %d is used twice", n)
	}
	p.seen[n/64] |= 1 << (n % 64)
	return readAt(p.at, buf[:p.size], n*p.size)
}

func readAt(at io.ReaderAt, buf []byte, off int64) error {
	n, err := at.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	if err == io.EOF {
		return fmt.Errorf("want %d bytes at %d, found %d", len(buf), off, n)
	}
	return &readError{err}
}

// An sqlite reads one table of a database (https://www.sqlite.org/fileformat2.html).
type sqlite struct {
	*pages
	usable int // bytes of a page
	blob   []byte
	over   []byte // a page of what did not fit
}

func rpmSQLite(at io.ReaderAt, size int64, f func([]byte) error) error {
	head := make([]byte, 100)
	if err := readAt(at, head, 0); err != nil {
		return err
	}
	if string(head[:16]) != "SQLite format 3\x00" {
		return errors.New("not an SQLite database")
	}
	page := int64(binary.BigEndian.Uint16(head[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 {
		return fmt.Errorf("pages of %d bytes", page)
	}
	if enc := binary.BigEndian.Uint32(head[56:]); enc > 1 {
		return fmt.Errorf("want text in UTF-8, found encoding %d", enc)
	}
	s := &sqlite{pages: newPages(at, size, page), usable: int(page) - int(head[20])}
	if s.usable < 480 {
		return fmt.Errorf("%d bytes of a page are reserved", head[20])
	}
	s.over = make([]byte, page)
	// The table of tables: type, name, table, first page, definition.
	root, found := int64(0), false
	err := s.table(1, 0, func(record []byte) error {
		col, err := sqliteRecord(record)
		if err == nil && len(col) >= 4 && string(col[0].data) == "table" && string(col[1].data) == "Packages" {
			root, found = col[3].int(), true
		}
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		return errors.New("no table Packages")
	}
	return s.table(root, 0, func(record []byte) error {
		// hnum INTEGER PRIMARY KEY, which is the row's number and not kept
		// here, and the header.
		col, err := sqliteRecord(record)
		if err == nil && len(col) < 2 {
			err = fmt.Errorf("a row of %d columns", len(col))
		}
		if err != nil {
			return err
		}
		return f(col[1].data)
	})
}

// table calls f with each row of the table whose tree starts at a page, counted from one.
func (s *sqlite) table(page int64, depth int, f func(record []byte) error) error {
	if depth > limits.ScanPages {
		return limitf("pages nest deeper than %d", limits.ScanPages)
	}
	buf := make([]byte, s.size)
	if err := s.read(page-1, buf); err != nil {
		return err
	}
	h := 0
	if page == 1 {
		h = 100
	}
	kind := buf[h]
	cells := h + 8
	if kind == 5 {
		cells = h + 12
	} else if kind != 13 {
		return fmt.Errorf("page %d has kind %d, want a table's", page, kind)
	}
	n := int(binary.BigEndian.Uint16(buf[h+3:]))
	if cells+2*n > s.usable {
		return fmt.Errorf("page %d has %d cells", page, n)
	}
	for i := range n {
		cell := int(binary.BigEndian.Uint16(buf[cells+2*i:]))
		if cell < cells+2*n || cell+4 > s.usable {
			return fmt.Errorf("page %d has a cell at %d", page, cell)
		}
		b := buf[cell:s.usable]
		if kind == 5 {
			if err := s.table(int64(binary.BigEndian.Uint32(b)), depth+1, f); err != nil {
				return err
			}
			continue
		}
		size, k := sqliteVarint(b)
		_, l := sqliteVarint(b[k:])
		if k == 0 || l == 0 {
			return fmt.Errorf("page %d has a cell without a size", page)
		}
		record, err := s.payload(b[k+l:], size)
		if err != nil {
			return err
		}
		if err := f(record); err != nil {
			return err
		}
	}
	if kind == 5 {
		return s.table(int64(binary.BigEndian.Uint32(buf[h+8:])), depth+1, f)
	}
	return nil
}

// payload returns a record, the rest of which may be in other pages
// (section 1.6, "Cell Payload Overflow Pages").
func (s *sqlite) payload(b []byte, size uint64) ([]byte, error) {
	if size > limits.ScanRPMHeader {
		return nil, limitf("a row of %d bytes", size)
	}
	p, u := int(size), s.usable
	local := p
	if p > u-35 {
		least := (u-12)*32/255 - 23
		if local = least + (p-least)%(u-4); local > u-35 {
			local = least
		}
	}
	if local == p {
		if p > len(b) {
			return nil, errors.New("a row outside of its page")
		}
		return b[:p], nil
	}
	if local+4 > len(b) {
		return nil, errors.New("a row outside of its page")
	}
	s.blob = append(s.blob[:0], b[:local]...)
	next := int64(binary.BigEndian.Uint32(b[local:]))
	for len(s.blob) < p {
		if err := s.read(next-1, s.over); err != nil {
			return nil, err
		}
		next = int64(binary.BigEndian.Uint32(s.over))
		s.blob = append(s.blob, s.over[4:4+min(u-4, p-len(s.blob))]...)
	}
	return s.blob, nil
}

// sqliteVarint reads a number of up to nine bytes and returns how many they
// were; 0 for none.
func sqliteVarint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	if n == 8 && len(b) > 8 {
		return v<<8 | uint64(b[8]), 9
	}
	return 0, 0
}

// A sqliteValue is one column of a row: a number, or data.
type sqliteValue struct {
	kind uint64
	data []byte
}

func (v sqliteValue) int() (n int64) {
	switch v.kind {
	case 9:
		return 1
	case 1, 2, 3, 4, 5, 6:
		for _, b := range v.data {
			n = n<<8 | int64(b)
		}
	}
	return n
}

// sqliteRecord takes the first columns of a row apart (section 2.1, "Record Format").
func sqliteRecord(b []byte) ([]sqliteValue, error) {
	bad := errors.New("a malformed row")
	head, n := sqliteVarint(b)
	if n == 0 || head < uint64(n) || head > uint64(len(b)) {
		return nil, bad
	}
	kinds, data := b[n:head], b[head:]
	var list []sqliteValue
	for len(kinds) > 0 && len(list) < 8 {
		kind, n := sqliteVarint(kinds)
		if n == 0 {
			return nil, bad
		}
		kinds = kinds[n:]
		var size uint64
		switch {
		case kind >= 12:
			size = (kind - 12) / 2
		case kind <= 4:
			size = kind
		case kind == 5:
			size = 6
		case kind <= 7:
			size = 8
		}
		if size > uint64(len(data)) {
			return nil, bad
		}
		list = append(list, sqliteValue{kind, data[:size]})
		data = data[size:]
	}
	return list, nil
}

// rpmNDB reads rpm's own format (rpm's lib/backend/ndb/rpmpkg.c): slots that say where
// in the file, in blocks of 16 bytes, each header is.
func rpmNDB(at io.ReaderAt, size int64, f func([]byte) error) error {
	const slotSize, block, page = 16, 16, 4096
	head := make([]byte, 32)
	if err := readAt(at, head, 0); err != nil {
		return err
	}
	if string(head[:4]) != "RpmP" {
		return errors.New("not an RPM package database")
	}
	if v := binary.LittleEndian.Uint32(head[4:]); v != 0 {
		return fmt.Errorf("version %d, want 0", v)
	}
	n := int64(binary.LittleEndian.Uint32(head[12:]))
	if n == 0 || n > size/page {
		return fmt.Errorf("%d pages of slots in %d bytes", n, size)
	}
	buf := make([]byte, page)
	var blob []byte
	left := size // headers do not overlap
	for p := range n {
		if err := readAt(at, buf, p*page); err != nil {
			return err
		}
		slots := buf
		if p == 0 {
			slots = buf[len(head):]
		}
		for ; len(slots) >= slotSize; slots = slots[slotSize:] {
			if string(slots[:4]) != "Slot" {
				return errors.New("a slot that is none")
			}
			pkg, off := binary.LittleEndian.Uint32(slots[4:]), int64(binary.LittleEndian.Uint32(slots[8:]))*block
			if pkg == 0 {
				continue
			}
			if err := readAt(at, head[:16], off); err != nil {
				return err
			}
			if string(head[:4]) != "BlbS" || binary.LittleEndian.Uint32(head[4:]) != pkg {
				return fmt.Errorf("slot %d points to what is not its header", pkg)
			}
			length := int64(binary.LittleEndian.Uint32(head[12:]))
			if length > limits.ScanRPMHeader {
				return limitf("a header of %d bytes", length)
			}
			if left -= length + 16; left < 0 {
				return errors.New("headers that overlap")
			}
			if off+16+length > size {
				return errors.New("a header outside of the file")
			}
			if int64(cap(blob)) < length {
				blob = make([]byte, length)
			}
			blob = blob[:length]
			if err := readAt(at, blob, off+16); err != nil {
				return err
			}
			if err := f(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// Pages of Berkeley DB (its dbinc/db_page.h).
const (
	bdbHashUnsorted = 2
	bdbOverflow     = 7
	bdbHashMeta     = 8
	bdbHash         = 13

	bdbPageHeader = 26
	bdbKeyData    = 1
	bdbOffPage    = 3
)

// rpmBDB reads a hash table of Berkeley DB: all pages in a row, and of those
// with keys and values the values.
func rpmBDB(at io.ReaderAt, size int64, f func([]byte) error) error {
	head := make([]byte, 72)
	if err := readAt(at, head, 0); err != nil {
		return err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(head[12:]) != 0x061561 {
		if order = binary.BigEndian; order.Uint32(head[12:]) != 0x061561 {
			return errors.New("not a hash table of Berkeley DB")
		}
	}
	page := int64(order.Uint32(head[20:]))
	if page < 512 || page > 65536 || page&(page-1) != 0 {
		return fmt.Errorf("pages of %d bytes", page)
	}
	if head[24] != 0 || head[25] != bdbHashMeta {
		return fmt.Errorf("want a hash table that is not encrypted, found encryption %d and type %d", head[24], head[25])
	}
	last := int64(order.Uint32(head[32:]))
	if last >= size/page {
		return fmt.Errorf("%d pages in %d bytes", last+1, size)
	}
	over := newPages(at, size, page)
	buf, next := make([]byte, page), make([]byte, page)
	var blob []byte
	for n := int64(1); n <= last; n++ {
		if err := readAt(at, buf, n*page); err != nil {
			return err
		}
		if t := buf[25]; t != bdbHash && t != bdbHashUnsorted {
			continue
		}
		entries := int(order.Uint16(buf[20:]))
		if bdbPageHeader+2*entries > len(buf) || entries%2 != 0 {
			return fmt.Errorf("page %d has %d entries", n, entries)
		}
		// An item ends where the one before it begins.
		item := func(i int) ([]byte, error) {
			end := len(buf)
			if i > 0 {
				end = int(order.Uint16(buf[bdbPageHeader+2*i-2:]))
			}
			start := int(order.Uint16(buf[bdbPageHeader+2*i:]))
			if start < bdbPageHeader+2*entries || start >= end || end > len(buf) {
				return nil, fmt.Errorf("page %d has an item from %d to %d", n, start, end)
			}
			return buf[start:end], nil
		}
		for i := 0; i < entries; i += 2 {
			key, err := item(i)
			if err != nil {
				return err
			}
			val, err := item(i + 1)
			if err != nil {
				return err
			}
			if len(key) == 5 && key[0] == bdbKeyData && order.Uint32(key[1:]) == 0 {
				continue // the number of the next package
			}
			switch {
			case val[0] == bdbKeyData:
				blob = append(blob[:0], val[1:]...)
			case val[0] == bdbOffPage && len(val) >= 12:
				length := int64(order.Uint32(val[8:]))
				if length > limits.ScanRPMHeader {
					return limitf("a header of %d bytes", length)
				}
				blob = blob[:0]
				for p := int64(order.Uint32(val[4:])); int64(len(blob)) < length; p = int64(order.Uint32(next[16:])) {
					if err := over.read(p, next); err != nil {
						return err
					}
					used := int(order.Uint16(next[22:]))
					if next[25] != bdbOverflow || used == 0 || bdbPageHeader+used > len(next) || int64(len(blob)+used) > length {
						return fmt.Errorf("page %d is not part of a value", p)
					}
					blob = append(blob, next[bdbPageHeader:bdbPageHeader+used]...)
				}
			default:
				return fmt.Errorf("page %d has a value of type %d", n, val[0])
			}
			if err := f(blob); err != nil {
				return err
			}
		}
	}
	return nil
}
