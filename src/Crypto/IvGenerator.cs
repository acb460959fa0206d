namespace Xfrmd.Crypto;

/// <summary>How the IV of an outbound packet comes about: <c>xfrm_state.geniv</c>.</summary>
public enum IvGenerator
{
    None,

    /// <summary><c>seqiv</c> (crypto/seqiv.c): a random salt XOR the 64-bit sequence number. Unique, predictable: for counter modes.</summary>
    SequenceXorSalt,

    /// <summary><c>echainiv</c> (crypto/echainiv.c): the salted sequence number, encrypted. Unpredictable: for CBC.</summary>
    EncryptedSequence,
}
