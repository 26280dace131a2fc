//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ends runs find on a layout and fails if that does not end.
func ends(t *testing.T, layout string) (attached [][]byte, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, attached, err = find(layout, "")
	}()
	select {
	case <-done:
		return attached, err
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
		return nil, nil
	}
}

func TestAttack_LayoutThatBlocks(t *testing.T) {
	layout := t.TempDir()
	digest := "sha256:" + strings.Repeat("0", 64)
	write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: digest}}}))
	write(t, filepath.Join(layout, "blobs", "sha256", "x"), nil)
	if err := syscall.Mkfifo(filepath.Join(layout, "blobs", "sha256", strings.Repeat("0", 64)), 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := ends(t, layout); err == nil {
		t.Error("a FIFO is a blob")
	}
}

func TestAttack_LayoutThatLeadsOut(t *testing.T) {
	outside := t.TempDir()
	digest := put(t, outside, []byte(`{"layers":[]}`))
	write(t, filepath.Join(outside, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: digest}}}))
	layout := t.TempDir()
	for _, name := range []string{"index.json", "blobs"} {
		if err := os.Symlink(filepath.Join(outside, name), filepath.Join(layout, name)); err != nil {
			t.Skip(err)
		}
	}
	if _, err := ends(t, layout); err == nil {
		t.Error("links out of the layout are followed")
	}
}

// Two readers of an index must see one image: the one that is verified is the
// one that is run.
func TestEdge26_LayoutWithTwoReadings(t *testing.T) {
	layout := t.TempDir()
	good, evil := put(t, layout, []byte(`{"layers":[]}`)), put(t, layout, []byte(`{"layers":[ ]}`))
	for _, index := range []string{
		`{"manifests":[{"digest":"EVIL"}],"Manifests":[{"digest":"GOOD"}]}`,
		`{"manifests":[{"digest":"EVIL"}],"manifests":[{"digest":"GOOD"}]}`,
		`{"manifests":[{"digest":"EVIL","Digest":"GOOD"}]}`,
		`{"manifests":[{"digest":"GOOD"}]}{}`,
	} {
		index = strings.NewReplacer("GOOD", good, "EVIL", evil).Replace(index)
		write(t, filepath.Join(layout, "index.json"), []byte(index))
		if image, _, err := find(layout, ""); err == nil {
			t.Errorf("%s: image %s", index, image)
		}
	}
}

// A manifest can name one blob a million times.
func TestAttack_LayoutThatGrows(t *testing.T) {
	layout := t.TempDir()
	image := put(t, layout, []byte(`{"layers":[]}`))
	blob := put(t, layout, make([]byte, 1<<20))
	layers := make([]descriptor, 1000)
	for i := range layers {
		layers[i] = descriptor{MediaType: "application/vnd.in-toto+json", Digest: blob}
	}
	data, err := json.Marshal(manifest{Subject: &descriptor{Digest: image}, Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	referrer := put(t, layout, data)
	write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: image}, {Digest: referrer}}}))
	attached, err := ends(t, layout)
	if err != nil {
		t.Fatal(err)
	}
	if len(attached) != 1 {
		t.Errorf("one blob is there %d times", len(attached))
	}
}
