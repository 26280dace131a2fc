package filetree

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// A Cache names the file in which digests are kept from one scan to the next.
//
// A digest from the cache stands for a file with the same path, inode, device,
// mode, size, modification time and change time. A file enters the cache only
// if both times lie at least two seconds before the scan began: one that was
// written just before may be written again within the same tick of the file
// system's clock, and keep its times (the problem that git calls racy). What
// remains is trust. The times are only as good as the file system that keeps
// them, and a process that has mapped a file can write to it unseen until the
// kernel flushes it. Where that matters, scan without a cache.
//
// Who can write the cache file decides what the digests are, since its
// checksum stops accidents and no attack. So the directory and the file must
// belong to the user and be writable by nobody else, or the scan is refused. A
// cache that is damaged, or was made by another version or for other digests,
// is not used, and is replaced.
type Cache struct {
	// File is the path of the cache. Its directory is made, with mode 0700,
	// if it is missing and the one above it is there. Keep it out of the
	// tree, or exclude it.
	File string

	// Now tells the time; required. The clock must not be ahead of that of
	// the file system that holds the tree by a second or more.
	Now func() time.Time
}

// granularity is the coarsest clock of a file system in use, FAT's.
const granularity = 2 * time.Second

// The file is cacheMagic, the kinds of digests in a byte, the number of
// records, the records with ascending paths, and the SHA-256 of all of that.
// A record is the length of the path, the path, and then, big endian: mode
// (4 bytes), size, mtime, ctime, dev, ino (8 each) and the digests.
const cacheMagic = "hallmark file tree cache 1\n"

type cache struct {
	spec    *Cache
	kinds   byte
	start   int64 // Unix time in nanoseconds
	records map[string]record
	loaded  int // how many records there were
}

// A record is the part of the file that follows a path.
type record []byte

func (r record) stat() stat {
	return stat{
		mode:  fs.FileMode(binary.BigEndian.Uint32(r)),
		size:  int64(binary.BigEndian.Uint64(r[4:])),
		mtime: int64(binary.BigEndian.Uint64(r[12:])),
		ctime: int64(binary.BigEndian.Uint64(r[20:])),
		dev:   binary.BigEndian.Uint64(r[28:]),
		ino:   binary.BigEndian.Uint64(r[36:]),
	}
}

const recordStat = 4 + 5*8 // bytes of a record before its digests

func (c *Cache) fail(reason, msg string, err error) error {
	return &Error{reason, c.File, msg, err}
}

func (o Options) kinds() (k byte) {
	for i, on := range []bool{o.SHA512, o.GitSHA1, o.GitSHA256} {
		if on {
			k |= 1 << i
		}
	}
	return k
}

// digestSize is how many bytes of digests a record has.
func digestSize(kinds byte) int {
	n := sha256.Size
	for i, size := range []int{64, 20, 32} {
		if kinds&(1<<i) != 0 {
			n += size
		}
	}
	return n
}

// load returns what the cache holds for a scan with these options.
func (c *Cache) load(opts Options) (*cache, error) {
	if c == nil || !cacheSupported {
		return nil, nil
	}
	if c.Now == nil || c.File == "" {
		return nil, c.fail(ReasonCache, "a cache needs a file and a clock", nil)
	}
	loaded := &cache{spec: c, kinds: opts.kinds(), start: c.Now().UnixNano()}
	dir, err := c.openDir()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	data, err := c.read(dir)
	if err != nil {
		return nil, err
	}
	kinds, records, err := parseCache(data)
	if err == nil && kinds == loaded.kinds {
		loaded.records, loaded.loaded = records, len(records)
	}
	return loaded, nil
}

// openDir opens the directory of the cache and sees that it is private.
// Everything else is then done through its descriptor.
func (c *Cache) openDir() (*os.Root, error) {
	path := filepath.Dir(c.File)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, c.fail(ReasonCache, "cannot make the directory of the cache", err)
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, c.fail(ReasonCache, "cannot open the directory of the cache", err)
	}
	info, err := dir.Stat(".")
	if err == nil && !private(info) {
		dir.Close()
		return nil, c.fail(ReasonTrust, "the directory of the cache must belong to this user and be writable by nobody else", nil)
	}
	if err != nil {
		dir.Close()
		return nil, c.fail(ReasonCache, "cannot look at the directory of the cache", err)
	}
	return dir, nil
}

// read returns the bytes of the cache, none if there is no such file.
func (c *Cache) read(dir *os.Root) ([]byte, error) {
	name := filepath.Base(c.File)
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, c.fail(ReasonCache, "cannot look at the cache", err)
	}
	if !info.Mode().IsRegular() || !private(info) {
		return nil, c.fail(ReasonTrust, "the cache must be a regular file that belongs to this user and is writable by nobody else", nil)
	}
	if info.Size() > limits.TreeCache {
		return nil, nil
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, c.fail(ReasonCache, "cannot open the cache", err)
	}
	defer f.Close()
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, c.fail(ReasonCache, "cannot read the cache", err)
	}
	return data, nil
}

var errCache = errors.New("malformed cache")

// parseCache reads the whole of a cache file, whose bytes the records keep.
func parseCache(data []byte) (kinds byte, records map[string]record, err error) {
	body, ok := bytes.CutPrefix(data, []byte(cacheMagic))
	if !ok || len(body) < 1+8+sha256.Size {
		return 0, nil, errCache
	}
	end := len(data) - sha256.Size
	if sha256.Sum256(data[:end]) != [sha256.Size]byte(data[end:]) {
		return 0, nil, errCache
	}
	body = body[:len(body)-sha256.Size]
	kinds = body[0]
	count := binary.BigEndian.Uint64(body[1:])
	body = body[9:]
	size := recordStat + digestSize(kinds)
	if kinds > 7 || count > limits.TreeEntries || count > uint64(len(body)/(2+size)) {
		return 0, nil, errCache
	}
	text := string(body) // one allocation for all paths
	records = make(map[string]record, count)
	last := ""
	for range count {
		n, k := binary.Uvarint(body)
		if k <= 0 || n > limits.TreePath || uint64(len(body)-k) < n+uint64(size) {
			return 0, nil, errCache
		}
		at := len(text) - len(body) + k
		path := text[at : at+int(n)]
		if path <= last {
			return 0, nil, errCache
		}
		last = path
		b := body[k+int(n):]
		r := record(b[:size:size])
		if st := r.stat(); !st.mode.IsRegular() || st.size < 0 {
			return 0, nil, errCache
		}
		records[path] = r
		body = b[size:]
	}
	if len(body) > 0 {
		return 0, nil, errCache
	}
	return kinds, records, nil
}

// appendCache appends a cache file to data. An item is an entry and what the
// system said about it; items are in the order of their paths.
func appendCache(data []byte, kinds byte, items []item) []byte {
	start := len(data)
	data = append(append(data, cacheMagic...), kinds)
	data = binary.BigEndian.AppendUint64(data, uint64(len(items)))
	for _, it := range items {
		e, st := it.entry, it.stat
		data = binary.AppendUvarint(data, uint64(len(e.Path)))
		data = append(data, e.Path...)
		data = binary.BigEndian.AppendUint32(data, uint32(st.mode))
		for _, v := range [...]uint64{uint64(st.size), uint64(st.mtime), uint64(st.ctime), st.dev, st.ino} {
			data = binary.BigEndian.AppendUint64(data, v)
		}
		data = append(data, e.SHA256[:]...)
		if kinds&1 != 0 {
			data = append(data, e.More.SHA512[:]...)
		}
		if kinds&2 != 0 {
			data = append(data, e.More.GitSHA1[:]...)
		}
		if kinds&4 != 0 {
			data = append(data, e.More.GitSHA256[:]...)
		}
	}
	sum := sha256.Sum256(data[start:])
	return append(data, sum[:]...)
}

// lookup fills in the digests of e if the cache has them for a file with its
// path and these properties.
func (c *cache) lookup(st *stat, e *Entry) bool {
	r, ok := c.records[e.Path]
	if !ok {
		return false
	}
	if known := r.stat(); !known.same(st) {
		return false
	}
	b := r[recordStat:]
	b = b[copy(e.SHA256[:], b):]
	if c.kinds == 0 {
		return true
	}
	e.More = new(More)
	if c.kinds&1 != 0 {
		b = b[copy(e.More.SHA512[:], b):]
	}
	if c.kinds&2 != 0 {
		b = b[copy(e.More.GitSHA1[:], b):]
	}
	if c.kinds&4 != 0 {
		copy(e.More.GitSHA256[:], b)
	}
	return true
}

type item struct {
	entry *Entry
	stat  stat
}

// store writes the cache, if it differs from what was loaded. The files that
// had to be read are in missed; the others are in the cache already.
func (c *cache) store(entries []Entry, missed []pathStat, hits int) error {
	if c == nil {
		return nil
	}
	settled := c.start - int64(granularity)
	fresh := make(map[string]stat, len(missed))
	for _, m := range missed {
		if max(m.stat.mtime, m.stat.ctime) < settled {
			fresh[m.path] = m.stat
		} else {
			delete(c.records, m.path)
		}
	}
	if len(fresh) == 0 && hits == c.loaded {
		return nil
	}
	items := make([]item, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if st, ok := fresh[e.Path]; ok {
			items = append(items, item{e, st})
		} else if r, ok := c.records[e.Path]; ok && e.Mode.IsRegular() {
			items = append(items, item{e, r.stat()})
		}
	}
	dir, err := c.spec.openDir()
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := writeAtomic(dir, filepath.Base(c.spec.File), appendCache(nil, c.kinds, items)); err != nil {
		return c.spec.fail(ReasonCache, "cannot write the cache", err)
	}
	return nil
}

func writeAtomic(dir *os.Root, name string, data []byte) error {
	temp := "." + name + "." + rand.Text()
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = dir.Rename(temp, name)
	}
	if err != nil {
		dir.Remove(temp)
	}
	return err
}
