namespace Xfrmd.Crypto;

/// <summary>One keyed integrity algorithm: append what the ICV covers, then finish. Used by one thread at a time.</summary>
public abstract class AuthContext : IDisposable
{
    /// <summary>The longest ICV of any algorithm, in bytes.</summary>
    public const int MaxLength = 64;

    public abstract void Append(ReadOnlySpan<byte> data);

    /// <summary>Writes the first <c>icv.Length</c> bytes of the code, and starts anew.</summary>
    public abstract void Finish(Span<byte> icv);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}
