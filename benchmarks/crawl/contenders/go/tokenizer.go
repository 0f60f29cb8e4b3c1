//go:build !goquery

package main

import (
	"bytes"

	"golang.org/x/net/html"
)

// read gives a page's title and the href of its anchors, from the tokenizer alone: no tree is built.
func read(page []byte) (title string, links []string, err error) {
	tokens := html.NewTokenizer(bytes.NewReader(page))
	titled := false
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return title, links, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := tokens.TagName()
			if len(name) == 1 && name[0] == 'a' {
				for more {
					var key, value []byte
					key, value, more = tokens.TagAttr()
					if string(key) == "href" {
						links = append(links, string(value))
						break
					}
				}
			} else if !titled && string(name) == "title" {
				titled = true
				if tokens.Next() == html.TextToken {
					title = string(tokens.Text())
				}
			}
		}
	}
}
