using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>Owns one <c>EVP_CIPHER_CTX</c>; freeing it wipes the key schedule.</summary>
internal sealed class CipherContextHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    private CipherContextHandle(nint context)
        : base(ownsHandle: true) => SetHandle(context);

    /// <summary>The context itself: whoever calls with it keeps the owner alive.</summary>
    public nint Raw => handle;

    public static CipherContextHandle Create()
    {
        nint context = LibCrypto.ContextNew();
        return context != 0 ? new CipherContextHandle(context) : throw new InsufficientMemoryException();
    }

    protected override bool ReleaseHandle()
    {
        LibCrypto.ContextFree(handle);
        return true;
    }
}
