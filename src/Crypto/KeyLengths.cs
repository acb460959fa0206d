namespace Xfrmd.Crypto;

/// <summary>The key lengths, in bytes, that <c>setkey</c> accepts: from <paramref name="Min"/> to <paramref name="Max"/> in steps.</summary>
public readonly record struct KeyLengths(int Min, int Max, int Step = 1)
{
    /// <summary>HMAC takes any key, an empty one too.</summary>
    public static readonly KeyLengths Any = new(0, int.MaxValue);

    public static KeyLengths Exactly(int length) => new(length, length);

    public bool Accepts(int length) => length >= Min && length <= Max && (length - Min) % Step == 0;
}
