package osv_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/osv"
)

// A million ranges, and a million events: what they cost grows with their
// number and no faster.
func TestEdge31_ManyRanges(t *testing.T) {
	if testing.Short() {
		t.Skip("reads tens of megabytes")
	}
	const n = 1_000_000
	var b strings.Builder
	b.WriteString(`"ranges":[`)
	for i := range n / 4 { // each of two events
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"SEMVER","events":[{"introduced":"%d.0.0"},{"fixed":"%d.0.1"}]}`, i, i)
	}
	b.WriteString(`]`)
	many := b.String()
	b.Reset()
	b.WriteString(`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}`)
	for i := range n / 2 {
		fmt.Fprintf(&b, `,{"fixed":"%d.0.0"},{"introduced":"%d.5.0"}`, i, i)
	}
	b.WriteString(`]}]`)
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "a", many), "V-2": rec("V-2", "npm", "a", b.String())})
	for purl, want := range map[string]string{
		"pkg:npm/a@249999.0.0": "V-1", "pkg:npm/a@7.2.0": "", "pkg:npm/a@7.7.0": "V-2", "pkg:npm/a@7.0.0-rc.1": "V-2",
	} {
		if got := outcome(t, match(t, db, graph(purl))); got != want {
			t.Errorf("%s: want %q, found %q", purl, want, got)
		}
	}
}

// Over the limits: the record is not read, and that is said.
func TestRecordsOverTheLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("writes tens of megabytes")
	}
	good := rec("V-1", "npm", "b", ranges("SEMVER", "introduced=0"))
	for name, big := range map[string]string{
		"bytes":    strings.Replace(good, `{"schema`, `{"details":"`+strings.Repeat("x", limits.OSVRecord)+`","schema`, 1),
		"values":   `{"id":"X","modified":"2026-02-01T00:00:00Z","references":[` + strings.TrimSuffix(strings.Repeat("1,", limits.JSONValues+1), ",") + `]}`,
		"packages": `{"id":"X","modified":"2026-02-01T00:00:00Z","affected":[` + strings.TrimSuffix(strings.Repeat("{},", limits.OSVPackages+1), ",") + `]}`,
	} {
		db := open(t, map[string]string{"good": good, "big": big})
		if named, _ := db.Unreadable(); len(named) != 1 || named[0].Name != "all.zip/big.json" || len(named[0].Msg) > 200 {
			t.Errorf("%s: %v", name, named)
		}
		if match(t, db, graph("pkg:npm/a@1.0.0")).Report(osv.ReportOptions{}).Err() == nil {
			t.Errorf("%s: the gate is open", name)
		}
	}
}

// edge32: a record that claims to be small and unpacks without end.
func TestZipBomb(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	h := crc32.NewIEEE()
	zeros := make([]byte, 1<<20)
	total := 0
	for total <= 2*limits.OSVRecord {
		total += len(zeros)
		h.Write(zeros)
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, claim := range map[string]uint64{"claims what it is": uint64(total), "claims to be small": 100} {
		file := filepath.Join(t.TempDir(), "all.zip")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		raw, err := z.CreateRaw(&zip.FileHeader{Name: "bomb.json", Method: zip.Deflate, CRC32: h.Sum32(), CompressedSize64: uint64(packed.Len()), UncompressedSize64: claim})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Write(packed.Bytes()); err != nil {
			t.Fatal(err)
		}
		good, err := z.Create("V-1.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(good, rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0"))); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		db, err := osv.Open(context.Background(), file, osv.OpenOptions{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := outcome(t, match(t, db, graph("pkg:npm/a@1.0.0"))); got != "V-1,"+osv.ReasonRecord {
			t.Errorf("%s: %s", name, got)
		}
		if named, _ := db.Unreadable(); len(named) != 1 {
			t.Errorf("%s: %v", name, named)
		}
		// io.ReadAll doubles: all it ever allocates is a small multiple of the limit.
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*limits.OSVRecord {
			t.Errorf("%s: allocated %d bytes", name, n)
		}
		db.Close()
	}
}

// edge49: links out of the folder are not followed, special files not opened.
func TestLinksAreNotFollowed(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "V-9.json")
	if err := os.WriteFile(outside, []byte(rec("V-9", "npm", "a", ranges("SEMVER", "introduced=0"))), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "V-9.json")); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "V-1.json"), []byte(rec("V-1", "npm", "b", ranges("SEMVER", "introduced=0"))), 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := osv.Open(context.Background(), dir, osv.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Info().Records != 1 {
		t.Errorf("%+v", db.Info())
	}
}

// Many unreadable records: some are named, all are counted, the same ones
// whoever reads them first.
func TestManyUnreadable(t *testing.T) {
	records := map[string]string{"good": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0"))}
	for i := range limits.OSVUnreadable + 500 {
		records[fmt.Sprintf("bad-%05d", i)] = "{"
	}
	var first string
	for _, workers := range []int{1, 2, 8} {
		file := filepath.Join(t.TempDir(), "all.zip")
		writeZip(t, file, records)
		db, err := osv.Open(context.Background(), file, osv.OpenOptions{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		named, more := db.Unreadable()
		if len(named) != limits.OSVUnreadable || more != 500 {
			t.Errorf("%d named, %d more", len(named), more)
		}
		found, err := json.Marshal(match(t, db, graph("pkg:npm/a@1.0.0")))
		if err != nil {
			t.Fatal(err)
		}
		s := fmt.Sprint(named, string(found))
		if first == "" {
			first = s
		} else if s != first {
			t.Errorf("%d workers find something else", workers)
		}
		db.Close()
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0", "fixed=1.0.0", "limit=2"))), "1.0.0")
	f.Add([]byte(rec("V-1", "PyPI", "a", `"versions":["1.0","2"]`)), "1.0.post1")
	f.Add([]byte(`{"id":"A","modified":"2026-02-01T00:00:00Z","affected":[{"ranges":[{"type":"GIT","repo":"https://github.com/o/r","events":[{"introduced":"0"}]}]}]}`), "x")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, version string) {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(sub)
		if err := errors.Join(os.WriteFile(filepath.Join(sub, "x.json"), data, 0o644),
			os.WriteFile(filepath.Join(sub, "good.json"), []byte(rec("GOOD", "npm", "good", ranges("SEMVER", "introduced=0"))), 0o644)); err != nil {
			t.Fatal(err)
		}
		db, err := osv.Open(context.Background(), sub, osv.OpenOptions{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		g := graph("pkg:npm/good@1.0.0")
		for _, typ := range []string{"npm", "pypi", "cargo", "golang", "gem"} {
			g.Add(sbom.Component{Name: "a", Version: version, PURL: "pkg:" + typ + "/a"})
		}
		r := match(t, db, g)
		// The good record is found whatever stands beside it.
		found := false
		for _, v := range r.Vulnerabilities {
			found = found || v.ID == "GOOD" || len(v.Records) > 1
			if len(v.Records) == 0 || v.ID == "" {
				t.Errorf("%+v", v)
			}
		}
		if !found {
			t.Errorf("GOOD was not found: %+v", r)
		}
		if named, _ := db.Unreadable(); len(named) > 0 && r.Report(osv.ReportOptions{}).Err() == nil {
			t.Error("an unreadable record, and the gate is open")
		}
	})
}

// bigDatabase is the shape of all of osv.dev: many records of which few are
// wanted.
func bigDatabase(b *testing.B, n int) string {
	records := make(map[string]string, n)
	for i := range n {
		id := fmt.Sprintf("GHSA-%06d", i)
		records[id] = fmt.Sprintf(`{"schema_version":"1.7.0","id":%q,"modified":"2026-02-01T00:00:00Z","published":"2026-01-01T00:00:00Z","aliases":["CVE-2026-%d"],
			"summary":"A vulnerability","details":%q,"references":[{"type":"WEB","url":"https://example.com/%d"}],
			"affected":[{"package":{"ecosystem":"npm","name":"package-%d","purl":"pkg:npm/package-%d"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.3"}]}]}]}`,
			id, i, strings.Repeat("It is bad in this way and in that. ", 40), i, i/2, i/2)
	}
	file := filepath.Join(b.TempDir(), "all.zip")
	writeZip(b, file, records)
	return file
}

func BenchmarkOpen(b *testing.B) {
	const n = 20_000
	file := bigDatabase(b, n)
	b.ReportAllocs()
	for b.Loop() {
		db, err := osv.Open(context.Background(), file, osv.OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkMatch(b *testing.B) {
	db, err := osv.Open(context.Background(), bigDatabase(b, 20_000), osv.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var purls []string
	for i := range 1000 {
		purls = append(purls, fmt.Sprintf("pkg:npm/package-%d@1.%d.0", 10*i, i%4))
	}
	g := graph(purls...)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		match(b, db, g)
	}
	b.ReportMetric(float64(b.N*1000)/b.Elapsed().Seconds(), "components/s")
}
