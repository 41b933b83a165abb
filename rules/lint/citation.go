package lint

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// citation says which of the laws that checks look for an entry of `law` names, and, where it seems to name one and
// cannot be read, what is missing.
type citation struct {
	dataSecurity bool   // 28 CFR Part 202
	chapterFive  bool   // GDPR chapter V, Articles 44 to 50
	unclear      string // how to write it, "" where it is clear
}

const (
	writeSection = "write it like 28 CFR 202.301"
	writeArticle = "write it like GDPR Art. 46"
)

// readCitation reads one entry of `law`, in whatever order, case and punctuation people cite. What could be one of the
// two laws counts as it: a check that asks too much is answered in a line, one that asks nothing is not noticed.
func readCitation(text string) citation {
	s := plainCitation(text)
	var c citation
	if cfr.MatchString(s) {
		c.readCFR(s)
	} else if looksLikeCFR.MatchString(s) && !namesPolicy.MatchString(text) {
		c.unclear = writeSection
	}
	if gdpr.MatchString(s) {
		c.readGDPR(s)
	} else if looksLikeGDPR.MatchString(s) {
		c.unclear = writeArticle
	}
	return c
}

var (
	cfr           = regexp.MustCompile(`cfr`)
	cfrTitle      = regexp.MustCompile(`\b(\d+) ?(?:of )?(?:the )?cfr|cfr ?,? ?(?:title )?28\b|\btitle (\d+)\b`)
	looksLikeCFR  = regexp.MustCompile(`(?:^|§|\bsections?|\bsecs?|\bparts?) ?202(?:\.\d|$)|\bdata security program\b`)
	gdpr          = regexp.MustCompile(`gdpr|dsgvo|ds-gvo|rgpd|2016/679`)
	looksLikeGDPR = regexp.MustCompile(`^(?:arts?|articles?|chapters?)\b[ \dvi,-]*$`)
	openRange     = regexp.MustCompile(`\d ?(?:ff?\b|et seq)`)
)

// readCFR looks for part 202 in a text that names the Code of Federal Regulations.
func (c *citation) readCFR(s string) {
	titles := cfrTitle.FindAllString(s, -1)
	if len(titles) > 0 && !touches(numbers(strings.Join(titles, " ")), 28, 28) {
		return // another title
	}
	parts := numbers(cfrTitle.ReplaceAllString(s, " cfr "))
	c.dataSecurity = len(titles) > 0 && touches(parts, 202, 202)
	if !c.dataSecurity && (len(titles) == 0 || len(parts) == 0 || openRange.MatchString(s)) {
		c.unclear = writeSection
	}
}

var (
	chapter     = regexp.MustCompile(`\bchapters? ?([ivx]+|\d+)(?:-([ivx]+|\d+))?\b`)
	notArticles = regexp.MustCompile(`\b\d+/\d+\b|\b(?:recitals?|paras?|paragraphs?|nos?|points?|guidelines?) ?\d+(?:-\d+)?`)
)

// readGDPR looks for Articles 44 to 50 and for chapter V in a text that names the Regulation.
func (c *citation) readGDPR(s string) {
	chapters := chapter.FindAllStringSubmatch(s, -1)
	for _, m := range chapters {
		first, last := roman(m[1]), roman(m[2])
		c.chapterFive = c.chapterFive || first == 5 || first < 5 && last >= 5
	}
	rest := chapter.ReplaceAllString(s, " ")
	other := notArticles.MatchString(strings.ReplaceAll(rest, "2016/679", ""))
	articles := numbers(notArticles.ReplaceAllString(rest, " "))
	c.chapterFive = c.chapterFive || touches(articles, 44, 50)
	if !c.chapterFive && (len(chapters)+len(articles) == 0 && !other || openRange.MatchString(s)) {
		c.unclear = writeArticle
	}
}

var (
	federalCode = regexp.MustCompile(`\bcode of federal regulations?\b|c\.? ?f\.? ?r\b\.?`)
	european    = regexp.MustCompile(`\bgeneral data protection regulation\b|\bg\. ?d\. ?p\. ?r\b\.?`)
	subdivision = regexp.MustCompile(` ?\((?:\d+|[a-z]{1,2}|[ivx]+)\)`)
	abbreviated = regexp.MustCompile(`([a-z])\.`)
	rangeWords  = regexp.MustCompile(`(\d|\b[ivx]+) ?(?:-|\b(?:to|through|until|bis)\b) ?(?:arts? ?|articles? ?|§+ ?)?([\d.]|[ivx]+\b)`)
	spaces      = regexp.MustCompile(` +`)
)

// plainCitation is the text in lower case, without subdivisions such as (a)(1), with one kind of space and dash, and with
// ranges as 44-46.
func plainCitation(text string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r):
			return ' '
		case unicode.Is(unicode.Pd, r), r == '_':
			return '-'
		}
		return unicode.ToLower(r)
	}, text)
	s = spaces.ReplaceAllString(strings.TrimSpace(s), " ")
	s = federalCode.ReplaceAllString(european.ReplaceAllString(s, "gdpr"), "cfr")
	s = subdivision.ReplaceAllString(s, "")
	s = abbreviated.ReplaceAllString(s, "$1 ")
	s = spaces.ReplaceAllString(strings.TrimSpace(s), " ")
	return rangeWords.ReplaceAllString(s, "$1-$2")
}

var numeral = regexp.MustCompile(`(\d+)(?:\.\d+)*[a-z]?(?:-(\d*)(?:\.\d+)*)?`)

// numbers are the whole numbers of a text as ranges, what stands behind a dot left out: 202.301-202.401 is 202 to 202.
func numbers(s string) (ranges [][2]int) {
	for _, m := range numeral.FindAllStringSubmatch(s, -1) {
		first, err := strconv.Atoi(m[1])
		if err != nil {
			continue
		}
		last, err := strconv.Atoi(m[2])
		ranges = append(ranges, [2]int{first, last})
		if err != nil || last < first {
			ranges[len(ranges)-1][1] = first
		}
	}
	return ranges
}

// touches reports whether one of the ranges shares a number with first to last.
func touches(ranges [][2]int, first, last int) bool {
	for _, r := range ranges {
		if r[0] <= last && r[1] >= first {
			return true
		}
	}
	return false
}

// roman reads the number of a chapter of the GDPR, which has eleven; 0 where it is none.
func roman(s string) int {
	for i, word := range []string{"i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi"} {
		if s == word || s == strconv.Itoa(i+1) {
			return i + 1
		}
	}
	return 0
}
