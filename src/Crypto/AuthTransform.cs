namespace Xfrmd.Crypto;

/// <summary>Keyed integrity for AH: algorithm, key and truncation of one SA; immutable, shared by all workers.</summary>
public sealed class AuthTransform : IDisposable
{
    private readonly CryptoBackend _backend;
    private readonly SecretKey _key;
    private volatile bool _disposed;

    private AuthTransform(CryptoBackend backend, AuthAlgorithm algorithm, SecretKey key, int icvLength)
    {
        _backend = backend;
        _key = key;
        Algorithm = algorithm;
        IcvLength = icvLength;
    }

    public AuthAlgorithm Algorithm { get; }

    /// <summary>ICV bytes: truncation bits / 8. Zero is allowed, as in <c>ah_init_state</c>.</summary>
    public int IcvLength { get; }

    /// <summary>What one worker uses. Not thread safe.</summary>
    /// <exception cref="ObjectDisposedException">The SA is gone, and its key is wiped.</exception>
    public AuthContext CreateContext()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        AuthContext context = _backend.CreateAuth(Algorithm.Kind, _key.Span);
        if (_disposed)
        {
            // Wiped while it was read: no packet may leave under a key of zeros.
            context.Dispose();
            throw new ObjectDisposedException(nameof(AuthTransform));
        }

        return context;
    }

    public void Dispose()
    {
        _disposed = true;
        _key.Dispose();
    }

    /// <param name="algorithm">The algorithm.</param>
    /// <param name="key">Shared with who calls; zeroed with the transform.</param>
    /// <param name="truncBits">Of the ICV.</param>
    /// <param name="transform">Null where the key or the ICV does not fit.</param>
    public static TransformResult TryCreate(AuthAlgorithm algorithm, SecretKey key, int truncBits, out AuthTransform? transform) =>
        TryCreate(CryptoBackend.Default, algorithm, key, truncBits, out transform);

    public static TransformResult TryCreate(AuthAlgorithm algorithm, ReadOnlySpan<byte> key, int truncBits, out AuthTransform? transform) =>
        TryCreate(CryptoBackend.Default, algorithm, new SecretKey(key), truncBits, out transform);

    internal static TransformResult TryCreate(CryptoBackend backend, AuthAlgorithm algorithm, ReadOnlySpan<byte> key, int truncBits, out AuthTransform? transform) =>
        TryCreate(backend, algorithm, new SecretKey(key), truncBits, out transform);

    private static TransformResult TryCreate(CryptoBackend backend, AuthAlgorithm algorithm, SecretKey key, int truncBits, out AuthTransform? transform)
    {
        transform = null;
        if (!algorithm.KeyLengths.Accepts(key.Length))
        {
            return TransformResult.InvalidKey;
        }

        if (truncBits < 0 || truncBits > algorithm.FullBits)
        {
            return TransformResult.InvalidIcv;
        }

        transform = new AuthTransform(backend, algorithm, key, truncBits / 8);
        return TransformResult.Ok;
    }
}
