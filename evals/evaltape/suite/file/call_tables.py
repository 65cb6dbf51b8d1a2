"""The tables and keys that say how a model is asked: its prompt, the part of its answer that counts, its address and price."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from evaltape.suite.file.values import Column, Function, Gates, Json, Number, Rules, Share, Table, Text, Usd, Whole, key

Role = Literal["system", "developer", "user", "assistant"]
SENT_BY_EVALTAPE = ("messages", "model", "stream", "n")
"""Keys of a call's body that no `request` may set."""


class MessageTable(Table, frozen=True):
    """One message."""

    role: Annotated[Role, key("Who says it.")]
    content: Annotated[Text, key("May name {input} and any other column.")]


Messages = Annotated[tuple[MessageTable, ...], Meta(min_length=1)]


class PromptTable(Table, frozen=True):
    """The messages of a call: {input} and every other column by its name are replaced by the sample's."""

    rules: ClassVar[Rules] = Rules(one_of=("user", "messages", "conversation"), apart=(("messages", "system"),))
    user: Annotated[Text | None, key("The user's message.")] = None
    system: Annotated[Text | None, key("The system message before it, or before a conversation.")] = None
    messages: Annotated[Messages | None, key("All messages, for few-shot prompts; the last one is the user's.")] = None
    conversation: Annotated[Column | None, key("A column of messages, { role, content } each; the last is the user's.")] = None


class AnswerTable(Table, frozen=True):
    """The part of the recorded text that is scored, found by these steps in the order of the file."""

    after: Annotated[Text | None, key("The text after the last occurrence of this one, as '</think>'.")] = None
    json: Annotated[Text | None, key("The value of this key of a JSON object, which stands in a code fence or bare.")] = None
    regex: Annotated[Text | None, key("The first group of this pattern, or all that it finds.")] = None
    function: Annotated[Function | None, key("The text that your function returns for the text.")] = None
    written: tuple[str, ...] = ()
    """The keys that the file has, in its order."""


class Price(Table, frozen=True, kw_only=False):
    """USD per million tokens."""

    input: Annotated[Usd, key("Of the prompt's tokens.")]
    output: Annotated[Usd, key("Of the answer's tokens.")]
    batch: Annotated[Share, key("The factor of both through the Batch API.")] = 1.0


class TrainingPrice(Price, frozen=True, kw_only=True):
    """USD per million tokens, of training and of the tuned model."""

    training: Annotated[Usd, key("Of trained tokens.")]


BaseUrl = Annotated[
    Text | None, key("An address that speaks OpenAI's API; that of OPENAI_BASE_URL or OpenAI's own when absent.")
]
KeyVariable = Annotated[
    Text | None, key("The name of the variable that holds the key, never a key; OPENAI_API_KEY when absent.")
]
Body = Annotated[Json, Meta(extra={"refused": SENT_BY_EVALTAPE})]
Request = Annotated[Body, key("Sent with every call. The value 'omit' removes a key that another table sets.")]
Answer = Annotated[AnswerTable | None, key("The part of the recorded text that is scored; all of it when absent.")]
ModelPrice = Annotated[Price | None, key("USD per million tokens.")]
GatesKey = Annotated[Gates, key("Per metric the bound on the mean score; 'omit' removes one of [defaults].")]
SliceGates = Annotated[dict[str, Number], key("Per metric the bound that no slice may be clearly beyond.")]
AllowFailed = Annotated[Whole, key("How many failed samples the gates put up with.")]
