namespace Xfrmd.Attach;

/// <summary>See <see cref="Answer"/>.</summary>
internal enum AnswerKind
{
    Continue,
    Value,
    Error,
    Sent,
    Held,
}
