package scan

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/limits"
)

const (
	cacheFormat = "hallmark scan cache 2\n"
	cacheSuffix = ".scan"
)

// cacheKey says what a cached result depends on: the layer, and who looked
// with which analysers. A result of other analysers has another name.
func (o *Options) cacheKey(l *layer) string {
	var b strings.Builder
	b.WriteString(cacheFormat)
	fmt.Fprintf(&b, "%s %t %t\n", l.digest, l.diff, o.Digests)
	for _, a := range o.chosen() {
		fmt.Fprintf(&b, "%s %d\n", a.name, a.version)
	}
	return b.String()
}

func (o *Options) usesCache() bool {
	// A function cannot be part of a key.
	return o.Cache != "" && o.Exclude == nil && o.Files == nil
}

func (o *Options) cachePath(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(o.Cache, hex.EncodeToString(sum[:])+cacheSuffix)
}

func (o *Options) seal(key string, body []byte) []byte {
	m := hmac.New(sha256.New, o.CacheKey)
	io.WriteString(m, key)
	m.Write(body)
	return m.Sum(nil)
}

// cached returns the result that the cache has, or nil. An entry that is not
// what was written, or was written for something else, is no entry.
func (o *Options) cached(l *layer) *layerResult {
	if !o.usesCache() {
		return nil
	}
	key := o.cacheKey(l)
	f, err := os.Open(o.cachePath(key))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > limits.ScanCached || info.Size() < sha256.Size {
		return nil
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil
	}
	sum, body := data[:sha256.Size], data[sha256.Size:]
	if !hmac.Equal(sum, o.seal(key, body)) {
		return nil
	}
	r, err := decodeResult(body)
	if err != nil {
		return nil
	}
	return r
}

// store keeps a result. A cache that cannot be written to costs time and
// nothing else.
func (o *Options) store(l *layer, r *layerResult) {
	if !o.usesCache() {
		return
	}
	body, err := encodeResult(r)
	if err != nil || len(body)+sha256.Size > limits.ScanCached {
		return
	}
	key := o.cacheKey(l)
	if atomicfile.WriteFile(o.cachePath(key), append(o.seal(key, body), body...), 0o644) == nil {
		o.prune()
	}
}

// prune removes the oldest entries of a cache that has grown too large.
func (o *Options) prune() {
	list, err := os.ReadDir(o.Cache)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	var total int64
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), cacheSuffix) {
			infos = append(infos, info)
			total += info.Size()
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range infos {
		if total <= limits.ScanCache {
			return
		}
		if os.Remove(filepath.Join(o.Cache, info.Name())) == nil {
			total -= info.Size()
		}
	}
}
