namespace Xfrmd.PfKey.Codec;

/// <summary>The checks that <c>parse_exthdrs</c> makes of some extensions.</summary>
internal enum ExtensionCheck : byte
{
    None,

    /// <summary><c>verify_address_len</c>.</summary>
    Address,

    /// <summary><c>verify_key_len</c>.</summary>
    Key,

    /// <summary><c>verify_sec_ctx_len</c>.</summary>
    SecurityContext,
}
