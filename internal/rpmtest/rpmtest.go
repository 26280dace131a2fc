// Package rpmtest writes databases of installed RPM packages for tests, in the
// three formats that rpm has had.
package rpmtest

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Tags are the values of a package's header by number: each a string, a
// []string or a []uint32.
type Tags map[uint32]any

// Header makes the header of a package.
func Header(tags Tags) []byte {
	var index, store []byte
	for _, number := range slices.Sorted(maps.Keys(tags)) {
		var typ uint32
		count := 1
		var data []byte
		switch v := tags[number].(type) {
		case string:
			typ, data = 6, append([]byte(v), 0)
		case []string:
			typ, count = 8, len(v)
			for _, s := range v {
				data = append(append(data, s...), 0)
			}
		case []uint32:
			typ, count = 4, len(v)
			for len(store)%4 != 0 {
				store = append(store, 0)
			}
			for _, n := range v {
				data = binary.BigEndian.AppendUint32(data, n)
			}
		}
		for _, n := range []uint32{number, typ, uint32(len(store)), uint32(count)} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		store = append(store, data...)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(index)/16))
	b = binary.BigEndian.AppendUint32(b, uint32(len(store)))
	return append(append(b, index...), store...)
}

func varint(n uint64) []byte {
	b := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		b = append([]byte{byte(n&0x7f) | 0x80}, b...)
	}
	return b
}

func record(values ...any) []byte {
	var kinds, data []byte
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			kinds = append(kinds, 0)
		case uint32:
			kinds = append(kinds, 4)
			data = binary.BigEndian.AppendUint32(data, v)
		case string:
			kinds = append(kinds, varint(uint64(13+2*len(v)))...)
			data = append(data, v...)
		case []byte:
			kinds = append(kinds, varint(uint64(12+2*len(v)))...)
			data = append(data, v...)
		}
	}
	// The header's length counts itself.
	n := varint(uint64(len(kinds) + 1))
	if len(n) > 1 {
		n = varint(uint64(len(kinds) + len(n)))
	}
	return append(append(n, kinds...), data...)
}

// SQLite makes a database with pages of a size.
func SQLite(page int, headers ...[]byte) []byte {
	pages := [][]byte{make([]byte, page), make([]byte, page)} // the schema, and the root of Packages
	local := func(size int) int {
		if size <= page-35 {
			return size
		}
		least := (page-12)*32/255 - 23
		if n := least + (size-least)%(page-4); n <= page-35 {
			return n
		}
		return least
	}
	cell := func(row int, payload []byte) []byte {
		b := append(varint(uint64(len(payload))), varint(uint64(row))...)
		n := local(len(payload))
		b = append(b, payload[:n]...)
		if payload = payload[n:]; len(payload) > 0 {
			b = binary.BigEndian.AppendUint32(b, uint32(len(pages)+1))
		}
		for len(payload) > 0 {
			p := make([]byte, page)
			n := copy(p[4:], payload)
			if payload = payload[n:]; len(payload) > 0 {
				binary.BigEndian.PutUint32(p, uint32(len(pages)+2))
			}
			pages = append(pages, p)
		}
		return b
	}
	fill := func(p []byte, at int, kind byte, right uint32, cells [][]byte) {
		p[at] = kind
		binary.BigEndian.PutUint16(p[at+3:], uint16(len(cells)))
		ptr := at + 8
		if kind == 5 {
			binary.BigEndian.PutUint32(p[at+8:], right)
			ptr = at + 12
		}
		end := len(p)
		for _, c := range cells {
			end -= len(c)
			copy(p[end:], c)
			binary.BigEndian.PutUint16(p[ptr:], uint16(end))
			ptr += 2
		}
		binary.BigEndian.PutUint16(p[at+5:], uint16(end))
	}
	var leaves, nodes [][]byte
	var cells [][]byte
	room, last := page-8, 0
	flush := func() {
		p := make([]byte, page)
		fill(p, 0, 13, 0, cells)
		pages = append(pages, p)
		leaves = append(leaves, binary.BigEndian.AppendUint32(nil, uint32(len(pages))))
		nodes = append(nodes, append(slices.Clone(leaves[len(leaves)-1]), varint(uint64(last))...))
		cells, room = nil, page-8
	}
	for i, h := range headers {
		c := cell(i+1, record(nil, h))
		if room < len(c)+2 {
			flush()
		}
		cells, last = append(cells, c), i+1
		room -= len(c) + 2
	}
	flush()
	right := binary.BigEndian.Uint32(leaves[len(leaves)-1])
	fill(pages[1], 0, 5, right, nodes[:len(nodes)-1])
	fill(pages[0], 100, 13, 0, [][]byte{
		cell(1, record("table", "Packages", "Packages", uint32(2), "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")),
	})
	copy(pages[0], "SQLite format 3\x00")
	size := page
	if page == 65536 {
		size = 1
	}
	binary.BigEndian.PutUint16(pages[0][16:], uint16(size))
	copy(pages[0][18:], []byte{1, 1, 0, 64, 32, 32})
	binary.BigEndian.PutUint32(pages[0][28:], uint32(len(pages)))
	binary.BigEndian.PutUint32(pages[0][24:], 1)
	binary.BigEndian.PutUint32(pages[0][92:], 1)
	binary.BigEndian.PutUint32(pages[0][44:], 4)
	binary.BigEndian.PutUint32(pages[0][56:], 1)
	return slices.Concat(pages...)
}

// NDB makes a database in rpm's own format.
func NDB(headers ...[]byte) []byte {
	const page = 4096
	n := (32+16*len(headers)+page-1)/page + 1
	b := make([]byte, 0, n*page)
	u32 := func(v ...int) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, uint32(x))
		}
	}
	b = append(b, "RpmP"...)
	u32(0, 1, n, len(headers)+1)
	b = append(b, make([]byte, 12)...)
	at := n * page / 16
	blocks := func(h []byte) int { return (len(h) + 16 + 12 + 15) / 16 }
	for i, h := range headers {
		b = append(b, "Slot"...)
		u32(i+1, at, blocks(h))
		at += blocks(h)
	}
	for len(b) < n*page {
		b = append(b, "Slot"...)
		u32(0, 0, 0)
	}
	for i, h := range headers {
		start := len(b)
		b = append(b, "BlbS"...)
		u32(i+1, 1, len(h))
		b = append(b, h...)
		for len(b) < start+16*blocks(h)-12 {
			b = append(b, 0)
		}
		u32(0, len(h)) // the checksum is left out; readers do not look at it
		b = append(b, "BlbE"...)
	}
	return b
}

// BDB makes a hash table of Berkeley DB.
func BDB(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, headers ...[]byte) []byte {
	const page = 4096
	var pages [][]byte
	add := func(kind byte) []byte {
		p := make([]byte, page)
		p[25] = kind
		order.PutUint32(p[8:], uint32(len(pages)))
		pages = append(pages, p)
		return p
	}
	meta := add(8)
	order.PutUint32(meta[12:], 0x061561)
	order.PutUint32(meta[16:], 9)
	order.PutUint32(meta[20:], page)
	var p []byte
	end, n := 0, 0
	item := func(data []byte) {
		end -= len(data)
		copy(p[end:], data)
		order.PutUint16(p[26+2*n:], uint16(end))
		n++
		order.PutUint16(p[20:], uint16(n))
	}
	key := func(i int) []byte { return order.AppendUint32([]byte{1}, uint32(i)) }
	for i := 0; i <= len(headers); i++ {
		if p == nil || end < 26+2*n+1200 {
			p, end, n = add(13), page, 0
		}
		if i == 0 { // the number of the next package
			item(key(0))
			item(key(len(headers) + 1))
			continue
		}
		h := headers[i-1]
		item(key(i))
		if len(h) < 1000 {
			item(append([]byte{1}, h...))
			continue
		}
		off := append([]byte{3, 0, 0, 0}, order.AppendUint32(nil, uint32(len(pages)))...)
		item(order.AppendUint32(off, uint32(len(h))))
		for len(h) > 0 {
			o := add(7)
			k := copy(o[26:], h)
			order.PutUint16(o[22:], uint16(k))
			if h = h[k:]; len(h) > 0 {
				order.PutUint32(o[16:], uint32(len(pages)))
			}
		}
	}
	order.PutUint32(meta[32:], uint32(len(pages)-1))
	return slices.Concat(pages...)
}
