namespace Xfrmd.Crypto.OpenSsl;

/// <summary>AES-GCM, AES-CCM or ChaCha20-Poly1305 of libcrypto, keyed once.</summary>
internal sealed unsafe class EvpAeadContext : AeadContext
{
    private const int SetIvLength = 0x9, SetTag = 0x11;
    private const int GcmNonce = 12, GcmTag = 16;
    private static readonly Lazy<bool> IvsAgree = new(CompareIvs);

    private readonly CipherContextHandle _encrypt, _decrypt;
    private readonly bool _ccm;

    // EVP_CipherInit_ex asks the provider how long the IV is each time, by a walk over the names of its parameters.
    private readonly bool _ivIsParameter;
    private bool _isSealing;

    /// <param name="cipher">From <see cref="LibCrypto.Cipher"/>.</param>
    /// <param name="ccm">It is AES-CCM.</param>
    /// <param name="ivIsParameter">It is AES-GCM, and <see cref="GcmTakesIvAsParameter"/>.</param>
    /// <param name="key">Without salt.</param>
    /// <param name="nonceLength">Bytes.</param>
    /// <param name="tagLength">Bytes.</param>
    public EvpAeadContext(nint cipher, bool ccm, bool ivIsParameter, ReadOnlySpan<byte> key, int nonceLength, int tagLength)
    {
        (_ccm, _ivIsParameter, _isSealing) = (ccm, ivIsParameter, true);
        _encrypt = Keyed(cipher, ccm, key, nonceLength, tagLength, encrypt: 1);

        // The others serve both directions with one context; CCM chooses its code when it is given the key.
        _decrypt = ccm ? Keyed(cipher, ccm, key, nonceLength, tagLength, encrypt: 0) : _encrypt;
    }

    /// <summary>This libcrypto has the other way to give an IV.</summary>
    public static bool GcmTakesIvAsParameter => IvsAgree.Value;

    public override void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, Span<byte> tag)
    {
        ObjectDisposedException.ThrowIf(_encrypt.IsClosed, this);
        nint context = _encrypt.Raw;
        int written;
        OsslParam* parameters = stackalloc OsslParam[2];
        fixed (byte* n = nonce, a = aad, m = moreAad, d = data, t = tag)
        {
            if (_ivIsParameter && _isSealing)
            {
                parameters[0] = OsslParam.WholeIv(n);
                LibCrypto.Check(LibCrypto.SetParameters(context, parameters));
            }
            else
            {
                _isSealing = true;
                LibCrypto.Check(LibCrypto.InitIv(context, 0, 0, null, n, 1));
            }

            Feed(context, a, aad.Length, m, moreAad.Length, data.Length);
            if (data.Length > 0)
            {
                LibCrypto.Check(LibCrypto.Update(context, d, &written, d, data.Length));
            }

            LibCrypto.Check(LibCrypto.Final(context, t, &written));
            parameters[0] = OsslParam.Tag(t, tag.Length);
            LibCrypto.Check(LibCrypto.GetParameters(context, parameters));
        }

        GC.KeepAlive(_encrypt);
    }

    public override bool Open(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, ReadOnlySpan<byte> tag)
    {
        ObjectDisposedException.ThrowIf(_decrypt.IsClosed, this);
        nint context = _decrypt.Raw;
        int written;
        bool authentic;
        OsslParam* parameters = stackalloc OsslParam[3];
        fixed (byte* n = nonce, a = aad, m = moreAad, d = data, t = tag)
        {
            parameters[0] = OsslParam.Tag(t, tag.Length);
            if (_ivIsParameter && !_isSealing)
            {
                parameters[1] = OsslParam.WholeIv(n);
            }
            else
            {
                _isSealing = false;
                LibCrypto.Check(LibCrypto.InitIv(context, 0, 0, null, n, 0));
            }

            LibCrypto.Check(LibCrypto.SetParameters(context, parameters));
            Feed(context, a, aad.Length, m, moreAad.Length, data.Length);

            // CCM verifies in the update, and has no final step on the way in; the others verify in the final step.
            authentic = data.Length == 0 || LibCrypto.Update(context, d, &written, d, data.Length) > 0;
            byte none;
            authentic = authentic && (_ccm || LibCrypto.Final(context, &none, &written) > 0);
        }

        GC.KeepAlive(_decrypt);
        return authentic;
    }

    public override void Dispose()
    {
        _encrypt.Dispose();
        _decrypt.Dispose();
    }

    private static CipherContextHandle Keyed(nint cipher, bool ccm, ReadOnlySpan<byte> key, int nonceLength, int tagLength, int encrypt)
    {
        CipherContextHandle context = CipherContextHandle.Create();
        LibCrypto.Check(LibCrypto.InitKey(context.Raw, cipher, 0, null, null, encrypt));
        LibCrypto.Check(LibCrypto.ContextControl(context.Raw, SetIvLength, nonceLength, null));
        if (ccm)
        {
            // CCM's first block names the tag's length.
            LibCrypto.Check(LibCrypto.ContextControl(context.Raw, SetTag, tagLength, null));
        }

        fixed (byte* k = key)
        {
            LibCrypto.Check(LibCrypto.InitKey(context.Raw, 0, 0, k, null, encrypt));
        }

        return context;
    }

    /// <summary>Whether this libcrypto seals the same with the IV given either way, more than once with one key.</summary>
    private static bool CompareIvs()
    {
        ReadOnlySpan<byte> key = "a key of 16 byte"u8;
        nint cipher = LibCrypto.Cipher("AES-128-GCM");
        using EvpAeadContext one = new(cipher, ccm: false, ivIsParameter: false, key, GcmNonce, GcmTag);
        using EvpAeadContext other = new(cipher, ccm: false, ivIsParameter: true, key, GcmNonce, GcmTag);
        Span<byte> tag = stackalloc byte[GcmTag], otherTag = stackalloc byte[GcmTag], nonce = stackalloc byte[GcmNonce];
        for (byte round = 1; round <= 3; round++)
        {
            nonce.Fill(round);
            one.Seal(nonce, key, [], [], tag);
            try
            {
                other.Seal(nonce, key, [], [], otherTag);
            }
            catch (InvalidOperationException)
            {
                return false;
            }

            if (!tag.SequenceEqual(otherTag))
            {
                return false;
            }
        }

        return true;
    }

    private void Feed(nint context, byte* aad, int aadLength, byte* moreAad, int moreAadLength, int dataLength)
    {
        int written;
        if (_ccm)
        {
            LibCrypto.Check(LibCrypto.UpdateShort(context, null, &written, null, dataLength));
        }

        LibCrypto.Check(LibCrypto.UpdateShort(context, null, &written, aad, aadLength));
        if (moreAadLength > 0)
        {
            LibCrypto.Check(LibCrypto.Update(context, null, &written, moreAad, moreAadLength));
        }
    }
}
