"""Words of every script: for ROUGE, BLEU, F1, variety and slots."""

import re
import unicodedata

import pytest
import regex
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from msbench import bleu_chrf, bleu_tokenizer, exact_f1, plain, rouge, tokens_of, words_of
from msbench.data.scores import continuation, variety
from msbench.data.splits import sentences

WORDS = [
    ("कि", ["कि"]),
    ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
    ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
    ("العَرَبِيَّة", ["العَرَبِيَّة"]),
    ("İstanbul I", ["istanbul", "i"]),
    ("می‌خواهم", ["می‌خواهم"]),
    ("cafe\u0301 café", ["café", "café"]),
    ("Don't running_home, 3", ["don", "t", "running", "home", "3"]),
    ("한국어 문장입니다", ["한국어", "문장입니다"]),
    ("我喜欢 NLP!", ["我", "喜", "欢", "nlp"]),
    ("ที่นี่", ["ที่", "นี่"]),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_words_keep_their_marks(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    assert words_of(unicodedata.normalize("NFD", text)) == words
    assert plain(text) == " ".join(words).replace("running home", "running_home")


@given(st.text())
def test_no_letter_is_lost_or_told_twice(text: str) -> None:
    letters = regex.compile(r"[\p{L}\p{N}]")
    lowered = unicodedata.normalize("NFC", text.lower()).replace("i\u0307", "i")
    assert letters.findall("".join(words_of(text))) == letters.findall(lowered)


@given(st.text(st.characters(codec="latin-1")))
def test_western_words_are_what_they_were(text: str) -> None:
    assert words_of(text) == re.findall(r"[^\W_]+", text.lower())
    assert tokens_of(text) == re.findall(r"\w+|[^\w\s]", text.lower())


def test_words_that_differ_in_a_vowel_sign_are_different() -> None:
    assert rouge(["कि"], ["की"]).metrics["rouge1"] == 0
    assert rouge(["मेरा बैल"], ["मोरी बोली"]).metrics["rougeL"] == 0
    assert rouge(["İ"], ["i"]).metrics["rouge1"] == 1
    assert rouge(["我喜欢猫"], ["我喜欢狗"]).metrics["rouge1"] == pytest.approx(0.75)


CHINESE = ["他昨天在北京买了一本新书。", "我们明天去学校。"]
SAID = ["他昨天在北京买了一本旧书。", "我们明天去学校。"]


def test_bleu_knows_languages_without_spaces() -> None:
    scores = bleu_chrf(SAID, CHINESE)
    theirs = sacrebleu.corpus_bleu(SAID, [CHINESE], tokenize="zh").score
    assert scores.metrics["bleu"] == theirs > 50
    assert "tok:zh" in scores.signatures["bleu"]
    assert bleu_chrf(SAID, CHINESE, tokenizer="13a").metrics["bleu"] < 30
    assert bleu_tokenizer(["昨日、新しい本を買いました。"]) == "char"
    assert bleu_tokenizer(["เขาซื้อหนังสือเล่มใหม่"]) == "char"
    assert bleu_tokenizer(["그는 어제 새 책을 샀다."]) == "13a"
    assert bleu_tokenizer(["He bought a book called 书 yesterday."]) == "13a"
    assert bleu_tokenizer([]) == "13a"


def test_other_scores_count_letters_where_there_are_no_spaces() -> None:
    assert exact_f1(["我喜欢猫"], ["我喜欢狗"]).metrics["f1"] == pytest.approx(0.75)
    assert continuation(["好的好的" * 3], ["好"]).examples["repetition"][0] > 0.5
    assert variety(["好的好的"])["distinct1"] == 0.5
    assert sentences("一二三四五六七八九十。第二句。") == {"一二三四五六七八九十。"}
