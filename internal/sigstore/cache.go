package sigstore

import "sync"

// A cache remembers at most max values: those of the current generation and
// of the one before. When the current one is full it becomes the one before,
// so what is asked for again survives and what is not goes. A flood of new
// keys costs speed, never memory.
type cache[K comparable, V any] struct {
	mu            sync.RWMutex
	max           int
	current, past map[K]V
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	v, ok := c.current[k]
	if !ok {
		v, ok = c.past[k]
	}
	c.mu.RUnlock()
	return v, ok
}

func (c *cache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || len(c.current) >= c.max/2 {
		c.current, c.past = make(map[K]V), c.current
	}
	c.current[k] = v
}
