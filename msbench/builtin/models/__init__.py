"""Models that come with msbench."""

import msbench
from msbench import Register


@msbench.hookimpl
def register_models(register: Register) -> None:
    register(
        "bag",
        "msbench.builtin.models.bag:Bag",
        idea="Mean of the word embeddings, projected: the fastest classifier.",
        paper="Joulin et al., 2017, Bag of tricks for efficient text classification",
        fits=["classify"],
    )
    register(
        "lstm",
        "msbench.builtin.models.lstm:LSTM",
        idea="Bidirectional LSTM for labels of texts, pairs and words.",
        paper="Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005",
        fits=["classify", "tag"],
    )
    register(
        "encoder",
        "msbench.builtin.models.encoder:Encoder",
        idea="BERT-like transformer encoder for labels of texts, pairs and words.",
        paper="Vaswani et al., 2017, Attention is all you need; Devlin et al., 2019, BERT",
        fits=["classify", "tag"],
    )
    register(
        "encoder-decoder",
        "msbench.builtin.models.encoder_decoder:EncoderDecoder",
        idea="T5-like transformer that reads a text and writes another; can copy by a pointer.",
        paper="Vaswani et al., 2017, Attention is all you need; Gu et al., 2016, CopyNet",
        fits=["seq2seq"],
    )
    register(
        "causal-lm",
        "msbench.builtin.models.causal:CausalLM",
        idea="GPT-like transformer that predicts every next token of a text.",
        paper="Radford et al., 2019, Language models are unsupervised multitask learners",
        fits=["lm"],
    )
    register(
        "linear",
        "msbench.builtin.linear.parts:linear",
        idea="A yardstick for any task: TF-IDF and logistic regression, copying, n-grams.",
        paper="Joachims, 1998; Chen and Goodman, 1999, An empirical study of smoothing techniques",
        learner="linear",
    )
