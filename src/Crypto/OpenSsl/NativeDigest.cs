namespace Xfrmd.Crypto.OpenSsl;

/// <summary>
/// A hash function of libcrypto by its low-level functions, whose state is plain memory: copying it costs nothing, while the EVP layer
/// allocates for each copy (EVP_MAC reinit: 120 ns more per packet).
/// </summary>
internal sealed unsafe class NativeDigest
{
    /// <summary>Room for the largest state (<c>SHA512_CTX</c>: 216 bytes).</summary>
    public const int StateSize = 256;

    private NativeDigest(nint init, nint update, nint final, int blockSize, int size)
    {
        Init = (delegate* unmanaged<byte*, int>)init;
        Update = (delegate* unmanaged<byte*, byte*, nuint, int>)update;
        Final = (delegate* unmanaged<byte*, byte*, int>)final;
        BlockSize = blockSize;
        Size = size;
    }

    public delegate* unmanaged<byte*, int> Init { get; }

    public delegate* unmanaged<byte*, byte*, nuint, int> Update { get; }

    public delegate* unmanaged<byte*, byte*, int> Final { get; }

    public int BlockSize { get; }

    public int Size { get; }

    /// <summary>Null: this build of libcrypto does not export it.</summary>
    public static NativeDigest? Find(AuthKind kind) => kind switch
    {
        AuthKind.HmacMd5 => Find("MD5", 64, 16),
        AuthKind.HmacSha1 => Find("SHA1", 64, 20),
        AuthKind.HmacSha256 => Find("SHA256", 64, 32),
        AuthKind.HmacSha384 => Find("SHA384", 128, 48),
        AuthKind.HmacSha512 => Find("SHA512", 128, 64),
        AuthKind.HmacRipemd160 => Find("RIPEMD160", 64, 20),
        _ => null,
    };

    private static NativeDigest? Find(string name, int blockSize, int size)
    {
        nint init = LibCrypto.Export(name + "_Init"), update = LibCrypto.Export(name + "_Update"), final = LibCrypto.Export(name + "_Final");
        return init != 0 && update != 0 && final != 0 ? new NativeDigest(init, update, final, blockSize, size) : null;
    }
}
