using System.Runtime.InteropServices;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary><c>OSSL_PARAM</c>, openssl/core.h: one named value; a null key ends the array.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OsslParam
{
    private const uint UnsignedInteger = 2, OctetString = 5;

    public byte* Key;
    public uint DataType;
    private readonly uint _pad;
    public byte* Data;
    public nuint DataSize;
    public nuint ReturnSize;

    /// <summary><c>OSSL_CIPHER_PARAM_AEAD_TAG</c>, where a tag is read from or written to. The literal does not move.</summary>
    public static OsslParam Tag(byte* tag, int length)
    {
        fixed (byte* key = "tag"u8)
        {
            return new OsslParam { Key = key, DataType = OctetString, Data = tag, DataSize = (nuint)length };
        }
    }

    /// <summary>
    /// <c>OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED</c> with the size -1: the whole IV, as <c>EVP_CTRL_AEAD_SET_IV_FIXED</c> sets it. AES-GCM only.
    /// </summary>
    public static OsslParam WholeIv(byte* iv)
    {
        fixed (byte* key = "tlsivfixed"u8)
        {
            return new OsslParam { Key = key, DataType = OctetString, Data = iv, DataSize = nuint.MaxValue };
        }
    }

    /// <summary><c>OSSL_CIPHER_PARAM_PADDING</c>.</summary>
    public static OsslParam Padding(uint* value)
    {
        fixed (byte* key = "padding"u8)
        {
            return new OsslParam { Key = key, DataType = UnsignedInteger, Data = (byte*)value, DataSize = sizeof(uint) };
        }
    }
}
