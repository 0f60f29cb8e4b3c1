//go:build goquery

package main

import (
	"bytes"

	"github.com/PuerkitoBio/goquery"
)

// read gives a page's title and the href of its anchors, by selectors on a tree.
func read(page []byte) (title string, links []string, err error) {
	document, err := goquery.NewDocumentFromReader(bytes.NewReader(page))
	if err != nil {
		return "", nil, err
	}
	document.Find("a[href]").Each(func(_ int, anchor *goquery.Selection) {
		if link, there := anchor.Attr("href"); there {
			links = append(links, link)
		}
	})
	return document.Find("head > title").First().Text(), links, nil
}
