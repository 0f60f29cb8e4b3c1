// Contender: net/http and 64 goroutines in Go. How a page is read is tokenizer.go's or goquery.go's matter.
//
// Tuned: one transport with as many idle connections as workers; a larger read buffer; GOGC=400 unless the
// environment says otherwise; links are skipped by their spelling before anything parses them; one buffered
// writer. Pinned to one core, the runtime uses one thread for Go code by itself.
//
// Usage: crawl OUTPUT SEED_URL...; every seed's host is 127.0.0.1. For TLS, SSL_CERT_FILE names the CA.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
)

const workers = 64

type crawl struct {
	client *http.Client
	hosts  map[string]bool

	mutex     sync.Mutex
	wake      *sync.Cond
	todo      []string
	pending   int // to be fetched or being fetched
	seen      map[string]struct{}
	spellings map[string]struct{}
	output    *bufio.Writer
}

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	dialer := &net.Dialer{}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		MaxIdleConns:        workers * 4,
		MaxIdleConnsPerHost: workers,
		ReadBufferSize:      32 << 10,
	}
	c := &crawl{
		client:    &http.Client{Transport: transport},
		hosts:     map[string]bool{},
		seen:      map[string]struct{}{},
		spellings: map[string]struct{}{},
		output:    bufio.NewWriterSize(file, 1<<16),
	}
	c.wake = sync.NewCond(&c.mutex)
	for _, seed := range os.Args[2:] {
		parsed, err := url.Parse(seed)
		if err != nil {
			panic(err)
		}
		c.hosts[parsed.Host] = true
		c.seen[seed] = struct{}{}
		c.todo = append(c.todo, seed)
		c.pending++
	}
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			c.work()
		}()
	}
	group.Wait()
	if err := c.output.Flush(); err != nil {
		panic(err)
	}
	if err := file.Close(); err != nil {
		panic(err)
	}
}

func (c *crawl) work() {
	var buffer bytes.Buffer
	for {
		c.mutex.Lock()
		for len(c.todo) == 0 && c.pending > 0 {
			c.wake.Wait()
		}
		if c.pending == 0 {
			c.mutex.Unlock()
			return
		}
		address := c.todo[0]
		c.todo = c.todo[1:]
		c.mutex.Unlock()
		if err := c.visit(address, &buffer); err != nil {
			fmt.Fprintln(os.Stderr, address, err)
		}
		c.mutex.Lock()
		c.pending--
		if c.pending == 0 {
			c.wake.Broadcast()
		}
		c.mutex.Unlock()
	}
}

func (c *crawl) visit(address string, buffer *bytes.Buffer) error {
	response, err := c.client.Get(address)
	if err != nil {
		return err
	}
	buffer.Reset()
	_, err = buffer.ReadFrom(response.Body)
	response.Body.Close()
	if err != nil {
		return err
	}
	if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	title, links, err := read(buffer.Bytes())
	if err != nil {
		return err
	}
	line, err := json.Marshal(struct {
		URL   string `json:"url"`
		Title string `json:"title"`
	}{address, title})
	if err != nil {
		return err
	}
	base := response.Request.URL
	origin := base.Scheme + "://" + base.Host
	folder := origin + base.Path[:strings.LastIndexByte(base.Path, '/')+1]

	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.output.Write(line)
	c.output.WriteByte('\n')
	for _, link := range links {
		if link == "" || link[0] == '#' {
			continue
		}
		// What a spelling means depends on the host, or on the folder too; absolute ones mean the same everywhere.
		spelling := link
		switch {
		case strings.HasPrefix(link, "http") || strings.HasPrefix(link, "//"):
		case link[0] == '/':
			spelling = origin + link
		default:
			spelling = folder + link
		}
		if _, known := c.spellings[spelling]; known {
			continue
		}
		c.spellings[spelling] = struct{}{}
		target, err := base.Parse(link)
		if err != nil || target.Scheme != "http" && target.Scheme != "https" {
			continue
		}
		target.Host = strings.ToLower(target.Host)
		if !c.hosts[target.Host] {
			continue
		}
		found := canonical(target)
		if _, known := c.seen[found]; known {
			continue
		}
		c.seen[found] = struct{}{}
		c.todo = append(c.todo, found)
		c.pending++
		c.wake.Signal()
	}
	return nil
}

// canonical sorts the parameters and drops the fragment.
func canonical(target *url.URL) string {
	target.Fragment = ""
	if target.RawQuery != "" {
		pairs := strings.Split(target.RawQuery, "&")
		sort.Strings(pairs)
		target.RawQuery = strings.Join(pairs, "&")
	}
	if target.Path == "" {
		target.Path = "/"
	}
	return target.String()
}
